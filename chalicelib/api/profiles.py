"""/api/profiles: the paces at which campaigns call."""

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.paging import limit_plus_one, list_answer
from chalicelib.api.services import Services
from chalicelib.api.validation import Form, no_fields, page_of
from chalicelib.domain.models import Profile
from chalicelib.storage.accounts import Kind

#: The smallest value of each number of a profile.
_MINIMA = {"period": 1, "amount_per_period": 1, "time_between_periods": 0}


def create(services: Services, context: RequestContext) -> Answer:
    form = Form(context.parameters)
    pace = {name: form.integer(name, minimum=minimum, required=True) for name, minimum in _MINIMA.items()}
    nickname = form.nickname()
    form.check()
    identifier = services.accounts.next_id(context.account, Kind.PROFILE)
    answer = envelope.success({"id": identifier, "nickname": nickname})
    services.profiles.add(Profile(context.account, identifier, nickname, **pace), context.receipt(answer), context.now)
    return answer


def page(services: Services, context: RequestContext) -> Answer:
    requested = page_of(context.parameters)
    profiles = services.profiles.page(context.account, after=requested.after or 0, limit=limit_plus_one(requested))
    return list_answer(services, context, requested, ((profile.id, _as_json(profile)) for profile in profiles))


def show(services: Services, context: RequestContext) -> Answer:
    no_fields(context.parameters)
    return envelope.plain(_as_json(services.profiles.get(context.account, context.identifier(Kind.PROFILE))))


def update(services: Services, context: RequestContext) -> Answer:
    identifier = context.identifier(Kind.PROFILE)
    form = Form(context.parameters)
    read: dict[str, int | str | None] = {
        name: form.integer(name, minimum=minimum, required=form.given(name)) for name, minimum in _MINIMA.items()
    }
    read["nickname"] = form.nickname()
    for name in ("id", "profile_id"):
        form.unchanged(name, identifier)
    form.check()
    services.profiles.get(context.account, identifier)
    form.check(changes=(*_MINIMA, "nickname"))
    changes = {name: value for name, value in read.items() if form.given(name)}
    profile = services.profiles.change(context.account, identifier, changes)
    if changes.keys() - {"nickname"}:
        services.campaigns.wake_users(services.profiles, context.account, identifier, context.now)
    return envelope.success({"id": profile.id, "nickname": profile.nickname})


def delete(services: Services, context: RequestContext) -> Answer:
    no_fields(context.parameters)
    services.profiles.delete(context.account, context.identifier(Kind.PROFILE))
    return envelope.success()


def _as_json(profile: Profile) -> dict[str, object]:
    return {
        "profile_id": profile.id,
        "nickname": profile.nickname,
        "period": profile.period,
        "amount_per_period": profile.amount_per_period,
        "time_between_periods": profile.time_between_periods,
    }
