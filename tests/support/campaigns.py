"""A campaign of the account `acme`, and what tests do with it."""

from datetime import date, timedelta
from typing import TypeAlias, TypedDict, Unpack

from chalicelib.api.progress import read_progress
from chalicelib.domain.call import Call
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import (
    Campaign,
    Day,
    Entry,
    Plan,
    Profile,
    RetryKind,
    RetryRule,
    Schedule,
    Status,
    Window,
)
from chalicelib.domain.progress import status
from tests.support.examples import CAMPAIGN, recorded
from tests.support.world import EIGHT, World

MINUTE = timedelta(minutes=1)
Retries: TypeAlias = tuple[tuple[RetryKind, RetryRule], ...]


class Settings(TypedDict, total=False):
    """What `prepare` takes by name."""

    amount: int
    period: int
    result_url: str | None
    max_retries: int
    call_timeout: int
    max_concurrent_calls: int | None
    retries: Retries
    attempt_reports: bool
    account: str


def numbers(count: int, first: int = 0) -> list[Entry]:
    return [Entry(f"tel:+1222{number:07d}", f"ref {number}") for number in range(first, first + count)]


def prepare(
    world: World,
    entries: list[Entry],
    *,
    amount: int = 60,
    period: int = 1,
    result_url: str | None = "http://tenant.example/result",
    max_retries: int = 0,
    call_timeout: int = 3600,
    max_concurrent_calls: int | None = None,
    retries: Retries = (),
    attempt_reports: bool = False,
    account: str = "acme",
) -> Campaign:
    """A campaign that calls on any day of a week in January, from 08:00 to 11:00."""
    world.services.schedules.add(Schedule(account, 1, None, tuple(Day)), None, EIGHT)
    world.services.profiles.add(Profile(account, 1, None, period, amount, 0), None, EIGHT)
    plan = Plan(
        date(2026, 1, 5),
        date(2026, 1, 9),
        1,
        (Window(1, 8 * 60, 11 * 60),),
        "http://tenant.example/start",
        result_url,
        max_retries,
        retry_interval=120,
        call_timeout=call_timeout,
        max_concurrent_calls=max_concurrent_calls,
        retries=retries,
        attempt_reports=attempt_reports,
    )
    world.services.campaigns.add(Campaign(account, 1, plan, Status.CREATED), entries, None, world.clock.now())
    return world.services.campaigns.get(CampaignKey(account, 1))


def prepare_running(world: World, entries: list[Entry], **settings: Unpack[Settings]) -> None:
    """The same campaign, started."""
    prepare(world, entries, **settings)
    start(world, settings.get("account", "acme"))


def start(world: World, account: str = "acme") -> None:
    world.services.campaigns.start(CampaignKey(account, 1), None, world.clock.now())


def stop(world: World) -> None:
    world.services.campaigns.stop(CAMPAIGN, None, world.clock.now())


def campaign(world: World) -> Campaign:
    found = world.services.campaigns.find(CAMPAIGN)
    assert found is not None
    return found


def destinations(entries: list[Entry]) -> list[str]:
    return [entry.destination for entry in entries]


def call(world: World, sequence: int) -> Call:
    return recorded(world.services.calls, CAMPAIGN.call(sequence))


def progress(world: World) -> dict[str, int]:
    """How many numbers are in which state, without the states that none is in."""
    done, _ = read_progress(world.services, campaign(world))
    assert done.total == sum(vars(done).values()) - done.total
    return {name: count for name, count in vars(done).items() if count}


def shown_status(world: World) -> Status:
    _, anything_deferred = read_progress(world.services, campaign(world))
    return status(campaign(world), world.clock.now(), anything_deferred=anything_deferred)
