"""Removes safeguards of the product, one at a time. The checker must notice each.

A control edits the source of functions. It fails if the text to be replaced isn't there, so a control can't become void
unnoticed when the code changes.
"""

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from chalicelib.api import authentication
from chalicelib.calling import dialer
from chalicelib.calling.dialer import Dialer
from chalicelib.calling.open_calls import OpenCallsSettler
from chalicelib.calling.snapshots import CampaignSnapshots
from chalicelib.domain import event_actions, last_look, lines, pacing, passing, settling
from chalicelib.domain.lines import Lines
from chalicelib.storage import task_items, undialled
from chalicelib.storage.calls import Calls
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.writes import Transaction


@dataclass(frozen=True)
class Edit:
    """Replacements in the source of one function. Each text to be replaced stands there exactly once."""

    #: a module or class
    owner: Any
    #: of the function in it
    name: str
    changes: Mapping[str, str]

    def edited(self) -> FunctionType:
        function = getattr(self.owner, self.name)
        source = textwrap.dedent(inspect.getsource(function))
        for before, after in self.changes.items():
            if source.count(before) != 1:
                raise LookupError(f"{before!r} stands {source.count(before)} times in {self.name}")
            source = source.replace(before, after)
        found: dict[str, Any] = {}
        exec(compile(source, inspect.getfile(function), "exec"), function.__globals__, found)  # noqa: S102 # our own code
        edited: FunctionType = found[self.name]
        return edited


@dataclass(frozen=True)
class Control:
    """A safeguard, and the edits that remove it."""

    missing: str
    edits: tuple[Edit, ...]
    #: the seed of a story in which the checker has noticed it; that one is tried first
    seen_in: int = 0

    def apply(self, replace: Callable[[Any, str, Any], None]) -> None:
        """`replace` sets an attribute, such as `setattr` or pytest's, which undoes it after the test."""
        for edit in self.edits:
            original, edited = getattr(edit.owner, edit.name), edit.edited()
            for owner in {edit.owner, *_modules()}:
                if vars(owner).get(edit.name) is original:
                    replace(owner, edit.name, edited)


def _modules() -> set[ModuleType]:
    """All modules of the product: each may have imported the function by its name."""
    return {module for name, module in sys.modules.items() if name.startswith("chalicelib.")}


CONTROLS = (
    Control(
        "the claim is given once",
        (Edit(Calls, "claim", {"return None": "before = {}"}),),
        seen_in=1,
    ),
    Control(
        "a claim that the SDK repeats is recognised by its nonce",
        (Edit(Calls, "claim", {"{unclaimed} OR #nonce = :nonce": "{unclaimed}"}),),
        seen_in=4,
    ),
    Control(
        "the last look",
        (Edit(Dialer, "_look", {"why is not None or snapshot.campaign is None": "snapshot.campaign is None"}),),
        seen_in=11,
    ),
    Control(
        "the sweep of numbers whose message is lost",
        (
            Edit(
                settling,
                "sweep_steps",
                {"dispatched_long_ago=sequence < long_ago and": "dispatched_long_ago=False and"},
            ),
        ),
        seen_in=2,
    ),
    Control(
        "the generation",
        (Edit(last_look, "stopped", {"snapshot.campaign.generation != dial.generation": "False"}),),
        seen_in=84,
    ),
    Control(
        "the operator's switch",
        (Edit(last_look, "stopped", {"if snapshot.halted:": "if False:"}),),
        seen_in=11,
    ),
    Control(
        "missed ticks are made up for at twice the pace at most",
        (Edit(pacing, "_slots_of_opening", {"begin + (instant - first) // 2": "begin"}),),
        seen_in=22,
    ),
    Control(
        "missed ticks are made up for within their own period only",
        (
            Edit(
                pacing,
                "_slots_of_opening",
                {
                    "max(_elapsed(opening, cursor.paced_until), current_cycle * pace.cycle - 1)": (
                        "_elapsed(opening, cursor.paced_until)"
                    ),
                    "if cycle == current_cycle else instant\n": "\n",
                    "min(cycle * pace.cycle + pace.period, closing)": "closing",
                },
            ),
        ),
        seen_in=75,
    ),
    Control(
        "a claim without an outcome becomes uncertain",
        (Edit(settling, "is_stale", {"now - call.claimed_at >= CLAIM_HELD_FOR": "False"}),),
        seen_in=6,
    ),
    Control(
        "a snapshot of a campaign is fresh",
        (
            Edit(CampaignSnapshots, "_is_fresh", {"self._clock.now() - asked_at <= FRESH_FOR": "True"}),
            Edit(last_look, "refusal", {"now - snapshot.asked_at > KNOWN_FOR": "False"}),
        ),
        seen_in=11,
    ),
    Control(
        "a call is made in its own period only",
        (
            Edit(last_look, "refusal", {"now >= (dial.expires if connected else dial.start_deadline)": "False"}),
            Edit(last_look, "refusal_unclaimed", {"now >= dial.start_deadline": "False"}),
        ),
        seen_in=11,
    ),
    Control(
        "a late call isn't made",
        (
            Edit(
                pacing,
                "_slots_of_opening",
                {"min(end, due + max(MISFIRE_GRACE // _MICROSECOND, pace.period // pace.amount // 2))": "end"},
            ),
        ),
        seen_in=16,
    ),
    Control(
        "a slot is reserved by one pacer",
        (
            Edit(
                ProgressStore,
                "reserve",
                {
                    "self._unpaced(campaign) | (self._items.pacing_version == version)": (
                        "self._items.id == campaign.id"
                    )
                },
            ),
        ),
        seen_in=20,
    ),
    Control(
        "calling hours have a margin for clocks that differ",
        (
            Edit(last_look, "refusal", {"closes - CLOCKS_DIFFER": "closes"}),
            Edit(last_look, "hold", {"CLOCKS_DIFFER - (now - began) / 2": "timedelta(0)"}),
        ),
        seen_in=14,
    ),
    Control(
        "a transaction that the SDK repeats is recognised by its token",
        (Edit(Transaction, "commit", {"client_request_token=self._token": "client_request_token=None"}),),
        seen_in=60,
    ),
    Control(
        "an unacknowledged report is sent again",
        (Edit(settling, "with_acknowledgement", {"not is_counted and sequence not in acknowledged": "False"}),),
        seen_in=9,
    ),
    Control(
        "an attempt at a report is made once",
        (Edit(dialer, "_is_owed", {" and call.report_attempts == attempt - 1": ""}),),
        seen_in=68,
    ),
    Control(
        "tasks are read from all of a campaign's partitions",
        (Edit(task_items, "partition_keys", {"range(spread)": "range(1)"}),),
        seen_in=1,
    ),
    Control(
        "the first final event wins",
        (
            Edit(
                event_actions,
                "_awaits_end",
                {"return call.state in (State.DIALLING, State.IN_PROGRESS)": "return True"},
            ),
        ),
        seen_in=22,
    ),
    Control(
        "who picked up is kept until the end",
        (
            Edit(
                event_actions, "event_action", {"outcome_of_event(event, call.heard_callee)": "outcome_of_event(event)"}
            ),
        ),
        seen_in=22,
    ),
    Control(
        "a call in progress times out",
        (Edit(settling, "has_timed_out", {"return call": "return False and call"}),),
        seen_in=1,
    ),
    Control(
        "a number is listed once among the open calls",
        (Edit(settling, "classify", {"if call.listed:": "if False:"}),),
        seen_in=61,
    ),
    Control(
        "a correction is counted after its call",
        (
            Edit(
                OpenCallsSettler,
                "count_corrections",
                {
                    "if (one.key.sequence < campaign.settled or one.key.sequence in moved)"
                    " and one.key.sequence not in uncounted": ""
                },
            ),
        ),
        seen_in=137,
    ),
    Control(
        "a refill takes no more lines than there are",
        (Edit(Lines, "free", {"return max(0, min(left))": "return 100"}),),
        seen_in=6,
    ),
    Control(
        "a line is held until its call can't begin any more",
        (Edit(lines, "is_over", {"return now >= line.begins_by": "return True"}),),
        seen_in=33,
    ),
    Control(
        "a line is held while its call is in progress",
        (Edit(lines, "is_over", {"(State.DIALLING, State.IN_PROGRESS)": "(State.DIALLING,)"}),),
        seen_in=33,
    ),
    Control(
        "an event comes with the signature of its attempt",
        (Edit(authentication, "by_signature", {"or not is_event_signature(signature, secret, key, attempt)": ""}),),
        seen_in=1,
    ),
    Control(
        "a number is canceled only if no dialer has claimed it",
        (Edit(undialled, "unchanged", {"cast(Condition, items.call.does_not_exist())": "None"}),),
        seen_in=44,
    ),
    Control(
        "an attempt that fails is reported in the same transaction as the next one is deferred",
        (Edit(Calls, "_defer", {"if report is not None:": "if False:"}),),
        seen_in=299,
    ),
    Control(
        "a number is not called before its time",
        (
            Edit(passing, "waits_until", {"return None if entry.not_before is None else": "return None if True else"}),
            Edit(last_look, "refusal", {"max(dial.due, dial.entry.not_before or dial.due)": "dial.due"}),
        ),
        seen_in=211,
    ),
    Control(
        "a number is not called after its time",
        (Edit(passing, "has_expired", {"return entry.expires is not None and": "return False and"}),),
        seen_in=213,
    ),
)
