"""Slips as items, and back: where they lie, and what they are called there."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from chalicelib.domain import spreading
from chalicelib.domain.call import Acknowledgement, DialTask, Ended, Lease, ReportTask, ScheduledTask, State, Task
from chalicelib.domain.models import CallKey, Entry
from chalicelib.storage.campaign_items import campaign_key
from chalicelib.storage.catalog import padded
from chalicelib.storage.tables import TaskItem
from chalicelib.storage.writes import new_nonce

DIAL = "dial"
REPORT = "report"
RETURNED = "dial-late"
ENDED = "ended"
TOLD = "told"
HANDED = "handed-"
#: sorts after every slip of a number that waits to be dialled, and before all others
AFTER_DIALS = "dial0"
#: sorts before every date
_AT_ONCE = "0"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def partition_key(account: str, campaign_id: int, partition: int) -> str:
    """The hash key of one of the campaign's partitions: of the first it is the campaign's own."""
    first = campaign_key(account, campaign_id)
    return f"{first}#{partition}" if partition else first


def partition_keys(account: str, campaign_id: int, spread: int) -> list[str]:
    """Of all of them."""
    return [partition_key(account, campaign_id, partition) for partition in range(spread)]


def due_by(kind: str, now: datetime) -> tuple[str, str]:
    """The keys between which the slips of this kind lie that are due."""
    return f"{kind}/", f"{kind}/{_text(now)}/~"


def deferred_item(items: type[TaskItem], deferred: Task, spread: int) -> TaskItem:
    key, instant = deferred.key, deferred.not_before
    place = f"{_AT_ONCE if instant is None else _text(instant)}/{padded(key.sequence)}/{new_nonce()}"
    hash_key = partition_key(key.account, key.campaign_id, spreading.partition(key.sequence, spread))
    if isinstance(deferred, ReportTask):
        return items(hash_key, f"{REPORT}/{place}", sequence=key.sequence, attempt=deferred.attempt)
    return items(
        hash_key,
        f"{DIAL}/{place}",
        sequence=key.sequence,
        attempt=deferred.attempt,
        entry=deferred.entry.line,
    )


def handed_item(items: type[TaskItem], deferred: Sequence[Task], lapses: datetime) -> TaskItem:
    first = deferred[0].key
    kind = DIAL if isinstance(deferred[0], DialTask) else REPORT
    name = f"{HANDED}{kind}/{_text(lapses)}/{padded(first.sequence)}/{new_nonce()}"
    return items(campaign_key(first.account, first.campaign_id), name, numbers=[_line(one) for one in deferred])


def returned_item(items: type[TaskItem], dials: Sequence[DialTask], mark: str) -> TaskItem:
    """Each number once, by its latest attempt: what is left when the first is handed over has a key of its own."""
    latest = {dial.key: dial for dial in sorted(dials, key=lambda dial: dial.attempt)}
    dials = [latest[key] for key in dict.fromkeys(dial.key for dial in dials)]
    key = dials[0].key
    return items(
        campaign_key(key.account, key.campaign_id),
        _returned_key(dials[0], mark),
        numbers=[_line(dial) for dial in dials],
    )


def ended_item(items: type[TaskItem], ended: Ended) -> TaskItem:
    key = ended.key
    return items(
        partition_key(key.account, key.campaign_id, ended.partition),
        f"{ENDED}/{padded(key.sequence)}",
        sequence=key.sequence,
        state=ended.state,
    )


def told_item(
    items: type[TaskItem], account: str, campaign_id: int, sequences: Iterable[int], now: datetime, nonce: str
) -> TaskItem:
    key = f"{TOLD}/{_text(now)}/{nonce}"
    return items(campaign_key(account, campaign_id), key, sequences=sorted(sequences))


def slip_of(account: str, campaign_id: int, item: TaskItem) -> ScheduledTask:
    """Of a number that lies by itself."""
    return ScheduledTask(_deferred(account, campaign_id, item), item.key, partition=_partition(item))


def slips_of_returned(account: str, campaign_id: int, item: TaskItem) -> Iterator[ScheduledTask]:
    """One for each of those that were returned together."""
    numbers = [one for one in _numbers(account, campaign_id, item) if isinstance(one, DialTask)]
    mark = item.key.rpartition("/")[2]
    for place, deferred in enumerate(numbers):
        name = item.key if place == 0 else _returned_key(deferred, mark)
        yield ScheduledTask(deferred, name, following=tuple(numbers[place + 1 :]), mark=mark)


def handed_of(account: str, campaign_id: int, item: TaskItem) -> Lease:
    return Lease(_numbers(account, campaign_id, item), item.key)


def ended_of(account: str, campaign_id: int, item: TaskItem) -> Ended:
    return Ended(CallKey(account, campaign_id, int(item.sequence)), State(item.state), _partition(item))


def told_of(item: TaskItem) -> Acknowledgement:
    return Acknowledgement(frozenset(int(sequence) for sequence in item.sequences), item.key)


def due_at(item: TaskItem) -> datetime:
    """When what a slip of a number, or of a returned slice, stands for is due: long ago, if at once."""
    kind, not_before, *_ = item.key.split("/")
    return _LONG_AGO if kind == RETURNED or not_before == _AT_ONCE else _instant(not_before)


def _partition(item: TaskItem) -> int:
    """The campaign may have more partitions by now than when it was written, so its place is told by its key."""
    _, _, number = item.campaign.rpartition("/")[2].partition("#")
    return int(number or 0)


def _deferred(account: str, campaign_id: int, item: TaskItem) -> Task:
    key = CallKey(account, campaign_id, int(item.sequence))
    kind, not_before, *_ = item.key.split("/")
    if kind.endswith(DIAL):
        instant = None if not_before == _AT_ONCE else _instant(not_before)
        return DialTask(key, Entry.from_line(item.entry), int(item.attempt), instant)
    return ReportTask(key, int(item.attempt), _instant(not_before))


def _numbers(account: str, campaign_id: int, item: TaskItem) -> tuple[Task, ...]:
    if item.numbers is None:  # written before slips were for slices
        return (_deferred(account, campaign_id, item),)
    kind, instant, *_ = item.key.split("/")
    found: list[Task] = []
    for line in item.numbers:
        sequence, attempt, entry = line.split(" ", 2)
        key = CallKey(account, campaign_id, int(sequence))
        if kind.endswith(REPORT):
            found.append(ReportTask(key, int(attempt), _instant(instant)))
        else:
            found.append(DialTask(key, Entry.from_line(entry), int(attempt), None))
    return tuple(found)


def _line(deferred: Task) -> str:
    """`sequence attempt entry`, without the entry for a report."""
    entry = deferred.entry.line if isinstance(deferred, DialTask) else ""
    return f"{deferred.key.sequence} {deferred.attempt} {entry}"


def _returned_key(first: DialTask, mark: str) -> str:
    return f"{RETURNED}/{padded(first.key.sequence)}/{mark}"


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
