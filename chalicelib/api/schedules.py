"""/api/schedules: the days of the week on which campaigns call."""

import json

from chalicelib.api import envelope
from chalicelib.api.dispatch import Asked
from chalicelib.api.envelope import Answer
from chalicelib.api.paging import listed, one_more
from chalicelib.api.services import Services
from chalicelib.api.validation import Form, no_fields, page_of
from chalicelib.domain.models import Schedule
from chalicelib.storage.accounts import Kind


def create(services: Services, asked: Asked) -> Answer:
    form = Form(asked.parameters)
    days, nickname = form.days(required=True), form.nickname()
    form.check()
    identifier = services.accounts.next_id(asked.account, Kind.SCHEDULE)
    answer = envelope.success({"id": identifier, "nickname": nickname})
    services.schedules.add(Schedule(asked.account, identifier, nickname, days), asked.receipt(answer), asked.now)
    return answer


def page(services: Services, asked: Asked) -> Answer:
    part = page_of(asked.parameters)
    found = services.schedules.page(asked.account, after=part.after or 0, limit=one_more(part))
    return listed(services, asked, part, ((schedule.id, _shown(schedule)) for schedule in found))


def show(services: Services, asked: Asked) -> Answer:
    no_fields(asked.parameters)
    return envelope.plain(_shown(services.schedules.get(asked.account, asked.identifier(Kind.SCHEDULE))))


def update(services: Services, asked: Asked) -> Answer:
    identifier = asked.identifier(Kind.SCHEDULE)
    form = Form(asked.parameters)
    read = {"days": form.days(required=form.given("days")), "nickname": form.nickname()}
    for name in ("id", "schedule_id"):
        form.unchanged(name, identifier)
    form.check()
    services.schedules.get(asked.account, identifier)
    form.check(changes=("days", "nickname"))
    changes = {name: value for name, value in read.items() if form.given(name)}
    schedule = services.schedules.change(asked.account, identifier, changes)
    if changes.keys() - {"nickname"}:
        services.campaigns.wake_users(services.schedules, asked.account, identifier, asked.now)
    # The reference answers the days as text here, and only here.
    days = json.dumps(schedule.days, separators=(",", ":"))
    return envelope.success({"id": schedule.id, "days": days, "nickname": schedule.nickname})


def delete(services: Services, asked: Asked) -> Answer:
    no_fields(asked.parameters)
    services.schedules.delete(asked.account, asked.identifier(Kind.SCHEDULE))
    return envelope.success()


def _shown(schedule: Schedule) -> dict[str, object]:
    return {"schedule_id": schedule.id, "nickname": schedule.nickname, "days": schedule.days}
