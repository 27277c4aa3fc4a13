"""/api/schedules: the days of the week on which campaigns call."""

import json

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.paging import limit_plus_one, list_answer
from chalicelib.api.services import Services
from chalicelib.api.validation import Form, no_fields, page_of
from chalicelib.domain.models import Schedule
from chalicelib.storage.accounts import Kind


def create(services: Services, context: RequestContext) -> Answer:
    form = Form(context.parameters)
    days, nickname = form.days(required=True), form.nickname()
    form.check()
    identifier = services.accounts.next_id(context.account, Kind.SCHEDULE)
    answer = envelope.success({"id": identifier, "nickname": nickname})
    services.schedules.add(Schedule(context.account, identifier, nickname, days), context.receipt(answer), context.now)
    return answer


def page(services: Services, context: RequestContext) -> Answer:
    requested = page_of(context.parameters)
    schedules = services.schedules.page(context.account, after=requested.after or 0, limit=limit_plus_one(requested))
    return list_answer(services, context, requested, ((schedule.id, _as_json(schedule)) for schedule in schedules))


def show(services: Services, context: RequestContext) -> Answer:
    no_fields(context.parameters)
    return envelope.plain(_as_json(services.schedules.get(context.account, context.identifier(Kind.SCHEDULE))))


def update(services: Services, context: RequestContext) -> Answer:
    identifier = context.identifier(Kind.SCHEDULE)
    form = Form(context.parameters)
    read = {"days": form.days(required=form.given("days")), "nickname": form.nickname()}
    for name in ("id", "schedule_id"):
        form.unchanged(name, identifier)
    form.check()
    services.schedules.get(context.account, identifier)
    form.check(changes=("days", "nickname"))
    changes = {name: value for name, value in read.items() if form.given(name)}
    schedule = services.schedules.change(context.account, identifier, changes)
    if changes.keys() - {"nickname"}:
        services.campaigns.wake_users(services.schedules, context.account, identifier, context.now)
    # The days are JSON text here, and an array in all other answers: the reference, Update Schedule.
    days = json.dumps(schedule.days, separators=(",", ":"))
    return envelope.success({"id": schedule.id, "days": days, "nickname": schedule.nickname})


def delete(services: Services, context: RequestContext) -> Answer:
    no_fields(context.parameters)
    services.schedules.delete(context.account, context.identifier(Kind.SCHEDULE))
    return envelope.success()


def _as_json(schedule: Schedule) -> dict[str, object]:
    return {"schedule_id": schedule.id, "nickname": schedule.nickname, "days": schedule.days}
