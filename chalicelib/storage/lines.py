"""The lines that calls hold. `chalicelib.domain.lines` decides who may take one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition

from chalicelib.domain.call import Call
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.lines import HeldLine, LineLimits, Lines, is_over, is_unclaimed, scope, time_held
from chalicelib.storage.calls import Calls
from chalicelib.storage.database import Database
from chalicelib.storage.writes import WriteRefused, conditional, new_nonce

_KEY = "lines"
_MILLISECOND = timedelta(milliseconds=1)


class LinesStore:
    def __init__(self, database: Database, calls: Calls) -> None:
        self._items = database.lines
        self._calls = calls

    def read(self, scope: str) -> Lines:
        """The lines of a campaign (`account/id`) or of an account; none if none was ever taken."""
        try:
            item = self._items.get(_partition(scope), _KEY, consistent_read=True)
        except DoesNotExist:
            return Lines()
        account = scope.partition("/")[0]
        return Lines(
            held=tuple(_held_line(account, line) for line in item.held),
            time_held=int(item.time_held) * _MILLISECOND,
            revisions={int(campaign): revision for campaign, revision in item.revisions.items()},
            version=item.version,
        )

    def replace(self, scope: str, before: Lines, after: Lines) -> bool:
        """Write the lines as they are to be. False if they have been written since `before` was read."""
        version = new_nonce()
        unchanged: Condition = self._items.version == version  # this write, which the SDK repeats
        unchanged |= self._items.version == before.version if before.version else self._items.campaign.does_not_exist()
        item = self._items(
            _partition(scope),
            _KEY,
            held=[_text(line) for line in after.held],
            time_held=after.time_held // _MILLISECOND,
            revisions={str(campaign): revision for campaign, revision in after.revisions.items()},
            version=version,
        )
        try:
            with conditional():
                item.save(unchanged)
        except WriteRefused:
            return False
        return True

    def over(self, held: Iterable[HeldLine], now: datetime) -> dict[HeldLine, timedelta | None]:
        """Those of the lines that are free again, each with the time for which it was held, if that is known.

        A record may be read as it was before the last write, which costs half. Then a line seems to be held for longer.
        But a record without a claim doesn't show that there is none, so it is read again.
        """
        lines = list(held)
        calls = self._records([line.call for line in lines], consistent=False)
        unclaimed = [line for line in lines if now >= line.begins_by and is_unclaimed(line, calls.get(line.call))]
        calls |= self._records([line.call for line in unclaimed], consistent=True)
        return {
            line: time_held(line, calls.get(line.call)) for line in lines if is_over(line, calls.get(line.call), now)
        }

    def in_use(self, campaign: CampaignKey, limits: LineLimits, now: datetime) -> int:
        """How many lines the campaign's calls hold now."""
        held = self.read(scope(campaign, limits)).of_campaign(campaign.id)
        return len(held) - len(self.over(held, now))

    def _records(self, keys: Sequence[CallKey], *, consistent: bool) -> dict[CallKey, Call]:
        return {call.key: call for call in self._calls.among(keys, consistent=consistent)} if keys else {}


def _partition(scope: str) -> str:
    """No partition of tasks has this name."""
    return f"{scope}#{_KEY}"


def _text(line: HeldLine) -> str:
    # Rounded up: a second later is safe.
    until = int(line.begins_by.timestamp()) + 1
    return f"{line.call.campaign.id} {line.call.sequence} {line.attempt} {until}"


def _held_line(account: str, text: str) -> HeldLine:
    campaign, sequence, attempt, until = map(int, text.split(" "))
    return HeldLine(CampaignKey(account, campaign).call(sequence), attempt, datetime.fromtimestamp(until, UTC))
