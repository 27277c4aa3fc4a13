"""More campaigns than one invocation looks after: others look after some of them, and nobody is left out."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.api.services import Services
from chalicelib.clock import SystemClock
from chalicelib.domain.eastern import local_date
from chalicelib.domain.models import Campaign, Day, Entry, Plan, Profile, Schedule, Status, Window
from chalicelib.functions.again import invoke_again, shards_of
from chalicelib.sharing import CAMPAIGNS_AT_ONCE, campaigns_to_look_after
from chalicelib.storage.advances import Advances
from chalicelib.storage.campaigns import SHARDS
from chalicelib.storage.switch import Switch
from chalicelib.storage.tables import Database
from infra.aws import Emulated
from infra.deployment import deploy
from infra.emulator import Emulator
from infra.package import build
from tests.functional.caller import messages_in, wait
from tests.functional.test_campaigns_run import numbers, prepare, start
from tests.functional.ticks import TICK, tick_of
from tests.functional.world import World

STAGE = "shared"


class Counted(Advances):
    """As many campaigns with work in each shard as is said."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes

    def with_work(self, shard: int) -> list[tuple[str, int]]:
        return [(f"account-{shard}", number) for number in range(self.sizes[shard])]


def refuse(_: Sequence[int]) -> None:
    raise ConnectionError


def looked_after(advances: Advances, shards: Iterable[int], most: int) -> Iterator[list[tuple[str, int]]]:
    """By each of the invocations that come of one."""
    further: list[Sequence[int]] = []
    yield campaigns_to_look_after(advances, shards, further.append, most)
    for share in further:
        yield from looked_after(advances, share, most)


def test_what_one_can_do_it_does_alone() -> None:
    advances = Counted(2, 0, 3)
    assert len(campaigns_to_look_after(advances, range(3), refuse, most=5)) == 5
    assert campaigns_to_look_after(Counted(0), range(1), refuse, most=5) == []


def test_what_is_too_much_is_handed_over_by_shards() -> None:
    further: list[Sequence[int]] = []
    own = campaigns_to_look_after(Counted(2, 2, 2, 1, 5), range(5), further.append, most=4)
    assert own == [("account-0", 0), ("account-0", 1), ("account-1", 0), ("account-1", 1)]
    assert further == [(2, 3), (4,)]


def test_every_campaign_is_looked_after_by_one() -> None:
    advances = Counted(3, 1, 4, 1, 5, 9, 2, 6)
    found = list(looked_after(advances, range(8), most=6))
    assert sorted(campaign for each in found for campaign in each) == sorted(
        campaign for shard in range(8) for campaign in advances.with_work(shard)
    )
    assert [len(each) for each in found] == [4, 5, 5, 9, 2, 6]


def test_what_cannot_be_handed_over_is_not_left_out() -> None:
    assert len(campaigns_to_look_after(Counted(2, 2, 2), range(3), refuse, most=2)) == 6


def test_a_further_invocation_is_told_its_shards() -> None:
    asked: list[dict[str, Any]] = []

    class Client:
        def invoke(self, **request: Any) -> None:
            asked.append(request)

    invoke_again(tick_of("pacer"), (3, 4), connect=Client)
    (request,) = asked
    event = tick_of("pacer")
    event.detail = json.loads(request["Payload"])["detail"]
    assert (shards_of(tick_of("pacer")), shards_of(event)) == (range(SHARDS), [3, 4])
    assert request["FunctionName"].endswith(":function:callpacer-prod-pacer")
    assert request["InvocationType"] == "Event"
    assert json.loads(request["Payload"]).keys() == TICK.keys()


def test_a_settler_without_time_leaves_the_rest_for_the_next(world: World) -> None:
    prepare(world, numbers(1))
    start(world)
    world.run(minutes=1)
    world.services.campaigns.append("acme", 1, numbers(1, first=1), None, world.clock.now())
    assert world.settler.settle(world.clock.now(), [("acme", 1)]) == 0
    assert world.services.campaigns.get("acme", 1).settled == 1


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Emulated]:
    """One in which nothing happens by itself, and nobody dials."""
    with Emulator(tmp_path) as emulator:
        cloud = Emulated(emulator.endpoint)
        deploy(build(), f"callpacer-{STAGE}", {"Stage": STAGE}, cloud)
        for rule in cloud.client("events").list_rules()["Rules"]:
            cloud.client("events").disable_rule(Name=rule["Name"])
        functions = cloud.client("lambda")
        for source in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.delete_event_source_mapping(UUID=source["UUID"])
        yield cloud


def test_the_deployed_pacer_has_itself_invoked_again_for_what_is_too_much(cloud: Emulated) -> None:
    """One number in each of too many campaigns."""
    campaigns = CAMPAIGNS_AT_ONCE + 40
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=f"callpacer-{STAGE}")["Stacks"]
    database = Database(f"callpacer-{STAGE}", cloud.client("dynamodb"))
    Switch(database, stack["StackId"]).turn(on=True, now=datetime.now(UTC))
    _begin(Services.over(database, SystemClock()), campaigns)
    answered = cloud.client("lambda").invoke(FunctionName=f"callpacer-{STAGE}-pacer", Payload=json.dumps(TICK))
    own = json.load(answered["Payload"])["dials"]
    assert campaigns - CAMPAIGNS_AT_ONCE <= own <= CAMPAIGNS_AT_ONCE
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    wait(lambda: messages_in(cloud.client("sqs"), outputs["QueueUrl"]) == campaigns, patience=60)


def _begin(services: Services, campaigns: int) -> None:
    now = datetime.now(UTC)
    today = local_date(now)
    services.schedules.add(Schedule("acme", 1, None, tuple(Day)), None, now)
    services.profiles.add(Profile("acme", 1, None, 1, 60, 0), None, now)
    window = Window(1, 0, 24 * 60)
    plan = Plan(today, today + timedelta(days=1), 1, (window,), "http://tenant.example/start", None)
    for identifier in range(1, campaigns + 1):
        number = Entry(f"tel:+1222{identifier:07d}")
        services.campaigns.add(Campaign("acme", identifier, plan, Status.CREATED), [number], None, now)
        services.campaigns.start("acme", identifier, None, now)
