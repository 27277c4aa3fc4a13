"""/api/campaigns: the plan of a campaign, its numbers, its status and its progress."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from chalicelib.api import envelope, values
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.paging import limit_plus_one, list_answer
from chalicelib.api.progress import read_progress
from chalicelib.api.services import Services
from chalicelib.api.validation import Form, Page, ProfileChoice, Retries, no_fields, page_of
from chalicelib.api.wording import quoted
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.lines import MOST_CONCURRENT_CALLS, LineLimits
from chalicelib.domain.models import (
    DEFAULT_CALL_TIMEOUT,
    DEFAULT_RETRY_INTERVAL,
    LONGEST_RETRY_GAP,
    MOST_RETRIES,
    SHORTEST_RETRY_GAP,
    Campaign,
    Plan,
    Profile,
    Schedule,
    Status,
    Window,
)
from chalicelib.domain.progress import is_settled, status
from chalicelib.domain.repeats import Unique, without_repeats
from chalicelib.domain.upload import Upload
from chalicelib.errors import NotFound
from chalicelib.runtime.logs import about_campaign
from chalicelib.storage.accounts import Kind

logger = logging.getLogger(__name__)

#: The bounds of `call_timeout` in seconds.
_CALL_TIMEOUT = (60, 14_400)
#: How many numbers the answer to a dry run shows, in their normal form.
_DRY_RUN_NUMBERS = 5
#: How many numbers of one upload come first: each is moved by itself.
_MOST_FIRST = 10_000
#: How long a request moves its numbers to the front of the queue.
_MOVING_TIME = timedelta(seconds=5)
#: The fields that an update may change.
_CHANGEABLE = (
    "start_date",
    "end_date",
    "schedule",
    "profiles",
    "start_url",
    "result_url",
    "max_retries",
    "retry_interval",
    "call_timeout",
    "max_concurrent_calls",
    "retries",
    "attempt_reports",
)


def create(services: Services, context: RequestContext) -> Answer:
    form = Form(context.parameters)
    start_date, end_date = form.date_range()
    schedule_id = _schedule_id(services, context, form, form.schedule(required=True))
    windows = _windows(services, context, form, form.profiles(required=True))
    retries = form.retries()
    plan = Plan(
        start_date=start_date,
        end_date=end_date,
        schedule_id=schedule_id,
        windows=windows,
        start_url=form.url("start_url", required=True),
        result_url=form.url("result_url"),
        max_retries=_max_retries(form, retries) or 0,
        retry_interval=_retry_interval(form) or DEFAULT_RETRY_INTERVAL,
        call_timeout=_call_timeout(form) or DEFAULT_CALL_TIMEOUT,
        max_concurrent_calls=_max_concurrent_calls(form),
        retries=retries or (),
        attempt_reports=_attempt_reports(form),
    )
    unique, is_dry_run = form.unique(), form.boolean("dry_run")
    times = form.times(context.now)
    upload = without_repeats(form.phone_numbers(), unique).with_times(*times)
    if any(times) and not upload.entries:
        form.fault("phone_numbers", "The phone_numbers field is required with not_before or expires.")
    form.check()
    if is_dry_run:
        return _dry_run(upload)
    identifier = services.accounts.next_id(context.account, Kind.CAMPAIGN)
    dropped = _dropped(upload, unique) if upload.entries else {}
    answer = envelope.success({"id": identifier, **dropped}, _counted(upload))
    campaign = Campaign(context.account, identifier, plan, Status.CREATED)
    services.campaigns.add(campaign, upload.entries, context.receipt(answer), context.now)
    return answer


def page(services: Services, context: RequestContext) -> Answer:
    return _list(services, context, page_of(context.parameters))


def update_without_id(services: Services, context: RequestContext) -> Answer:
    """An update without an id answers the whole list and changes nothing (the reference, Update Campaign)."""
    form = Form(context.parameters)
    for name in _CHANGEABLE:
        form.given(name)
    form.check()
    return _list(services, context, Page(limit=None, after=None))


def show(services: Services, context: RequestContext) -> Answer:
    no_fields(context.parameters)
    campaign = services.campaigns.get(context.campaign)
    schedule = services.schedules.get(context.account, campaign.plan.schedule_id)
    profiles = {
        identifier: services.profiles.get(context.account, identifier) for identifier in campaign.plan.profile_ids
    }
    account_limit = services.accounts.max_concurrent_calls(context.account)
    return envelope.plain(_as_json(services, context, campaign, schedule, profiles, account_limit))


def update(services: Services, context: RequestContext) -> Answer:
    key = context.campaign
    campaign = services.campaigns.get(key)
    form = Form(context.parameters)
    form.date_range((date.min, date.max))
    reference, choices = form.schedule(required=form.given("schedule")), form.profiles(required=form.given("profiles"))
    retries = form.retries()
    changes: dict[str, Any] = {
        "schedule_id": None if reference is None else _schedule_id(services, context, form, reference),
        "windows": None if choices is None else _windows(services, context, form, choices),
        "start_url": form.url("start_url", required=True) if form.given("start_url") else None,
        "max_retries": _max_retries(form, retries),
        "retry_interval": _retry_interval(form),
        "call_timeout": _call_timeout(form),
        "retries": retries,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if form.given("result_url"):
        changes["result_url"] = form.url("result_url")
    if form.given("max_concurrent_calls"):
        changes["max_concurrent_calls"] = _max_concurrent_calls(form)
    if form.given("attempt_reports"):
        changes["attempt_reports"] = _attempt_reports(form)
    _check_fields_of_answers(services, context, form, campaign)
    form.check(changes=_CHANGEABLE)

    def revise(plan: Plan) -> Plan:
        start_date, end_date = form.date_range((plan.start_date, plan.end_date))
        form.check()
        return replace(plan, start_date=start_date, end_date=end_date, **changes)

    services.campaigns.change(key, revise, context.now)
    return envelope.success({"id": key.id})


def _check_fields_of_answers(services: Services, context: RequestContext, form: Form, campaign: Campaign) -> None:
    """Check the fields that an answer has and no update changes, since a client may send an answer back.

    `progress` and `lines_in_use` may have any value, because they change meanwhile. The others must be as they are.
    """
    form.given("progress")
    form.given("lines_in_use")
    if form.given("phone_numbers"):
        form.fault("phone_numbers", "The phone_numbers field can't be changed: add-calls adds to the queue.")
    for name in ("id", "campaign_id"):
        form.unchanged(name, campaign.id)
    if form.given("status"):
        _, anything_deferred = read_progress(services, campaign)
        form.unchanged("status", status(campaign, context.now, anything_deferred=anything_deferred))
    if form.given("schedule_nickname"):
        schedule = services.schedules.get(context.account, campaign.plan.schedule_id)
        form.unchanged("schedule_nickname", _nickname(campaign.plan, schedule))


def delete(services: Services, context: RequestContext) -> Answer:
    no_fields(context.parameters)
    services.campaigns.delete(context.campaign, context.now)
    return envelope.success()


def start(services: Services, context: RequestContext) -> Answer:
    answer = envelope.success()
    services.campaigns.start(_campaign_key(context), context.receipt(answer), context.now)
    return answer


def stop(services: Services, context: RequestContext) -> Answer:
    answer = envelope.success()
    services.campaigns.stop(_campaign_key(context), context.receipt(answer), context.now)
    return answer


def add_calls(services: Services, context: RequestContext) -> Answer:
    form = Form(context.parameters)
    key = CampaignKey(context.account, form.integer("campaign_id", minimum=1, required=True))
    unique, is_dry_run, first = form.unique(), form.boolean("dry_run"), form.boolean("first")
    upload = without_repeats(form.phone_numbers(required=True), unique).with_times(*form.times(context.now))
    if first and len(upload.entries) > _MOST_FIRST:
        form.fault("first", f"The first field is for up to {_MOST_FIRST:,} numbers. The upload has more.")
    form.check()
    if is_dry_run:
        services.campaigns.get(key)
        return _dry_run(services.campaigns.without_known(key, upload) if unique is Unique.CAMPAIGN else upload)
    if unique is Unique.CAMPAIGN:
        upload = services.campaigns.append_unknown(
            key, upload, lambda queued: context.receipt(_added(queued, unique)), context.now, first=first
        )
    else:
        receipt = context.receipt(_added(upload, unique))
        services.campaigns.append(key, upload.entries, receipt, context.now, first=first)
    if first:
        _move_to_front(services, key)
    return _added(upload, unique)


def _move_to_front(services: Services, key: CampaignKey) -> None:
    """The numbers are accepted already. What can't be moved now is left to the settler."""
    until = services.clock.now() + _MOVING_TIME
    try:
        services.moved.move(key, lambda: services.clock.now() < until)
    except Exception:
        logger.warning("the settler moves what is left to the front", exc_info=True, extra=about_campaign(key))


def _added(queued: Upload, unique: Unique) -> Answer:
    return envelope.success(_dropped(queued, unique) or None, _counted(queued))


def _dropped(upload: Upload, unique: Unique) -> dict[str, int]:
    """What an answer's body has besides what the reference shows, for a request that asks for it."""
    return {} if unique is Unique.NOTHING else {"dropped": upload.dropped}


def _counted(upload: Upload) -> dict[str, str]:
    """Headers, because the bodies are fixed: the reference, Create Campaign and Add Calls."""
    return {"X-Numbers-Accepted": str(len(upload.entries)), "X-Numbers-Dropped": str(upload.dropped)}


def _dry_run(upload: Upload) -> Answer:
    """What a valid upload would do. Nothing is queued."""
    first = [
        {"phone_number": entry.destination, "message_reference": entry.message_reference}
        for entry in upload.entries[:_DRY_RUN_NUMBERS]
    ]
    return envelope.success({"dry_run": True, "queued": len(upload.entries), "dropped": upload.dropped, "first": first})


def _campaign_key(context: RequestContext) -> CampaignKey:
    """The campaign that the request names. Raises InvalidFields."""
    form = Form(context.parameters)
    identifier = form.integer("campaign_id", minimum=1, required=True)
    form.check()
    return CampaignKey(context.account, identifier)


def _retry_interval(form: Form) -> int | None:
    return form.integer(
        "retry_interval",
        minimum=SHORTEST_RETRY_GAP,
        maximum=LONGEST_RETRY_GAP,
        required=form.given("retry_interval"),
    )


def _max_retries(form: Form, retries: Retries | None) -> int | None:
    """If it isn't given, as many as the rules need that the request gives."""
    given = form.integer("max_retries", maximum=MOST_RETRIES, required=form.given("max_retries"))
    if given is None and retries:
        return max(rule.attempts for _, rule in retries) - 1
    return given


def _call_timeout(form: Form) -> int | None:
    least, most = _CALL_TIMEOUT
    return form.integer("call_timeout", minimum=least, maximum=most, required=form.given("call_timeout"))


def _max_concurrent_calls(form: Form) -> int | None:
    """None if it isn't given, or is empty or null, which means that there is no limit."""
    if values.is_blank(form.value("max_concurrent_calls")):
        return None
    return form.integer("max_concurrent_calls", minimum=1, maximum=MOST_CONCURRENT_CALLS)


def _attempt_reports(form: Form) -> bool:
    """False if it isn't given, or is empty or null."""
    return not values.is_blank(form.value("attempt_reports")) and form.boolean("attempt_reports")


def _lines_in_use(
    services: Services, context: RequestContext, campaign: Campaign, account_limit: int | None
) -> int | None:
    """How many lines its calls hold; None if neither the campaign nor the account has a limit."""
    limits = LineLimits(campaign.plan.max_concurrent_calls, account_limit)
    if not limits.are_set:
        return None
    return 0 if is_settled(campaign) else services.lines.in_use(campaign.key, limits, context.now)


def _schedule_id(services: Services, context: RequestContext, form: Form, reference: str) -> int:
    """The schedule's id, or 0 and a fault if there is no such schedule."""
    if reference:
        try:
            return services.schedules.find(context.account, reference).id
        except NotFound:
            form.fault("schedule", f"The selected schedule is invalid. It is {quoted(reference)}.")
    return 0


def _windows(
    services: Services, context: RequestContext, form: Form, choices: Iterable[ProfileChoice]
) -> tuple[Window, ...]:
    windows = []
    for index, choice in enumerate(choices):
        if not choice.profile:
            continue
        name = f"profiles.{index}.profile"
        try:
            profile = services.profiles.find(context.account, choice.profile)
        except NotFound:
            form.fault(name, f"The selected {name} is invalid. It is {quoted(choice.profile)}.")
            continue
        if choice.nickname not in (None, profile.nickname):
            form.fault(f"profiles.{index}.nickname", f"The profiles.{index}.nickname field isn't that of the {name}.")
        windows.append(Window(profile.id, choice.start, choice.end))
    return tuple(windows)


def _list(services: Services, context: RequestContext, requested: Page) -> Answer:
    schedules = {schedule.id: schedule for schedule in services.schedules.page(context.account)}
    profiles = {profile.id: profile for profile in services.profiles.page(context.account)}
    campaigns = services.campaigns.page(context.account, after=requested.after or 0, limit=limit_plus_one(requested))
    account_limit = services.accounts.max_concurrent_calls(context.account)

    def item(campaign: Campaign) -> dict[str, object]:
        schedule = schedules.get(campaign.plan.schedule_id)
        return _as_json(services, context, campaign, schedule, profiles, account_limit)

    items = ((campaign.id, item(campaign)) for campaign in campaigns)
    return list_answer(services, context, requested, items)


def _as_json(
    services: Services,
    context: RequestContext,
    campaign: Campaign,
    schedule: Schedule | None,
    profiles: dict[int, Profile],
    account_limit: int | None,
) -> dict[str, object]:
    plan = campaign.plan
    progress, anything_deferred = read_progress(services, campaign)
    return {
        "campaign_id": campaign.id,
        "status": status(campaign, context.now, anything_deferred=anything_deferred),
        "start_date": f"{plan.start_date} 00:00:00",
        "end_date": f"{plan.end_date} 00:00:00",
        "start_url": plan.start_url,
        "result_url": plan.result_url,
        "schedule_id": plan.schedule_id,
        "schedule_nickname": _nickname(plan, schedule),
        "profiles": [
            {
                "profile_id": window.profile_id,
                "nickname": profiles[window.profile_id].nickname if window.profile_id in profiles else None,
                "start_time": _clock_time(window.start),
                "end_time": _clock_time(window.end),
            }
            for window in plan.windows
        ],
        "max_retries": plan.max_retries,
        "retry_interval": plan.retry_interval,
        "call_timeout": plan.call_timeout,
        "max_concurrent_calls": plan.max_concurrent_calls,
        "lines_in_use": _lines_in_use(services, context, campaign, account_limit),
        "retries": {kind: vars(rule) for kind, rule in plan.retries},
        "attempt_reports": plan.attempt_reports,
        "progress": vars(progress),
    }


def _nickname(plan: Plan, schedule: Schedule | None) -> str:
    return (schedule and schedule.nickname) or str(plan.schedule_id)


def _clock_time(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
