"""Campaigns as items, and back."""

import zlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from pynamodb.expressions.update import Action

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import (
    Campaign,
    Counts,
    Cursor,
    HeadObservation,
    Load,
    Plan,
    RetryKind,
    RetryRule,
    Status,
    Window,
)
from chalicelib.storage.tables import CampaignItem, WindowMap
from chalicelib.storage.writes import new_nonce

#: How many shards the index of campaigns with work has. Each can be worked on by an invocation of its own.
SHARDS = 16


def transition_actions(items: type[CampaignItem], before: Campaign, after: Campaign) -> list[Action]:
    """The update that turns `before` into `after`, for a request of the campaign's owner.

    The work flag is set whenever there is work, since the settler may have cleared it after the campaign was read.
    """
    actions: list[Action] = []
    if after.plan != before.plan:
        actions += plan_actions(items, after.plan)
    for name in ("revision", "status", "deleted", "generation", "tail", "wakes_at", "has_times"):
        if getattr(after, name) != getattr(before, name):
            actions.append(getattr(items, name).set(getattr(after, name)))
    if after.to_front != before.to_front:
        actions.append(items.to_front.set(flat(after.to_front)) if after.to_front else items.to_front.remove())
    if after.pacing_version != before.pacing_version:
        actions += cursor_actions(items, after.cursors)
    if after.has_work:
        actions.append(items.shard.set(shard_of(after.key)))
    return actions


def shard_of(campaign: CampaignKey) -> str:
    """The shard of the index of campaigns with work that the campaign is in."""
    return str(zlib.crc32(str(campaign).encode()) % SHARDS)


def cursor_actions(items: type[CampaignItem], cursors: Sequence[Cursor], version: str | None = None) -> list[Action]:
    """Move the cursors. `version` is the new `pacing_version`; None for a random one."""
    return [
        items.paced_until.set([cursor.paced_until for cursor in cursors]),
        items.paced_due.set([cursor.due for cursor in cursors]),
        items.pacing_version.set(version or new_nonce()),
    ]


def load_actions(items: type[CampaignItem], load: Load) -> list[Action]:
    return [
        items.load_dispatched.set(load.dispatched),
        items.load_left.set(load.left),
        items.load_made.set(load.made),
        items.load_most.remove() if load.most is None else items.load_most.set(load.most),
        items.load_limited.set(load.limited),
    ]


def plan_actions(items: type[CampaignItem], plan: Plan) -> list[Action]:
    values = _plan_values(plan)
    return [
        getattr(items, name).remove() if value is None else getattr(items, name).set(value)
        for name, value in values.items()
    ]


def _plan_values(plan: Plan) -> dict[str, Any]:
    return {
        "start_date": plan.start_date.isoformat(),
        "end_date": plan.end_date.isoformat(),
        "schedule_id": plan.schedule_id,
        "windows": [_window_map(window) for window in plan.windows],
        "start_url": plan.start_url,
        "result_url": plan.result_url,
        "max_retries": plan.max_retries,
        "retry_interval": plan.retry_interval,
        "call_timeout": plan.call_timeout,
        "max_concurrent_calls": plan.max_concurrent_calls,
        "retries": {kind: vars(rule) for kind, rule in plan.retries} or None,
        "attempt_reports": plan.attempt_reports or None,
    }


def _window_map(window: Window) -> WindowMap:
    return WindowMap(profile_id=window.profile_id, start=window.start, end=window.end)  # type: ignore[no-untyped-call] # untyped in pynamodb


def to_item(items: type[CampaignItem], campaign: Campaign) -> CampaignItem:
    return items(
        campaign.account,
        campaign.id,
        **_plan_values(campaign.plan),
        revision=campaign.revision,
        status=campaign.status,
        deleted=campaign.deleted,
        generation=campaign.generation,
        tail=campaign.tail,
        head=campaign.head,
        settled=campaign.settled,
        completed=campaign.counts.completed,
        failed=campaign.counts.failed,
        uncertain=campaign.counts.uncertain,
        paced_until=[cursor.paced_until for cursor in campaign.cursors],
        paced_due=[cursor.due for cursor in campaign.cursors],
        pacing_version=campaign.pacing_version or new_nonce(),
        has_times=campaign.has_times or None,
        wakes_at=campaign.wakes_at,
        shard=shard_of(campaign.key) if campaign.has_work else None,
    )


def from_item(item: CampaignItem) -> Campaign:
    plan = Plan(
        start_date=date.fromisoformat(item.start_date),
        end_date=date.fromisoformat(item.end_date),
        schedule_id=int(item.schedule_id),
        windows=tuple(Window(int(w.profile_id), int(w.start), int(w.end)) for w in item.windows),
        start_url=item.start_url,
        result_url=item.result_url,
        max_retries=int(item.max_retries),
        retry_interval=int(item.retry_interval),
        call_timeout=int(item.call_timeout),
        max_concurrent_calls=None if item.max_concurrent_calls is None else int(item.max_concurrent_calls),
        retries=tuple((RetryKind(kind), RetryRule(**rule)) for kind, rule in (item.retries or {}).items()),
        attempt_reports=bool(item.attempt_reports),
    )
    return Campaign(
        account=item.account,
        id=int(item.id),
        plan=plan,
        revision=int(item.revision),
        status=Status(item.status),
        deleted=bool(item.deleted),
        generation=int(item.generation),
        tail=int(item.tail),
        head=int(item.head),
        settled=int(item.settled),
        counts=Counts(int(item.completed), int(item.failed), int(item.uncertain), int(item.canceled or 0)),
        head_observations=tuple(
            HeadObservation(int(head), at) for head, at in zip(item.observed_heads, item.observed_at, strict=True)
        ),
        cursors=_cursors(item.paced_until, item.paced_due),
        pacing_version=item.pacing_version,
        load=Load(
            int(item.load_dispatched),
            int(item.load_left),
            int(item.load_made),
            None if item.load_most is None else int(item.load_most),
            bool(item.load_limited),
        ),
        call_time=timedelta(milliseconds=int(item.call_time)),
        wakes_at=item.wakes_at,
        spread=int(item.spread),
        settling_version=item.settled_nonce or "",
        corrections_due=int(item.corrections_due or 0),
        withdrawn_lists=int(item.withdrawn_lists or 0),
        has_times=bool(item.has_times),
        to_front=_ranges(item.to_front or ()),
        reports_ahead=tuple(int(sequence) for sequence in item.reports_ahead or ()),
        has_work=item.shard is not None,
    )


def flat(ranges: Iterable[range]) -> list[int]:
    """Where each range begins, and where it ends."""
    return [end for one in ranges for end in (one.start, one.stop)]


def _ranges(ends: Sequence[float]) -> tuple[range, ...]:
    return tuple(range(int(start), int(stop)) for start, stop in zip(ends[::2], ends[1::2], strict=True))


def _cursors(paced_until: Iterable[datetime], due: Iterable[datetime]) -> tuple[Cursor, ...]:
    return tuple(Cursor(*pair) for pair in zip(paced_until, due, strict=True))
