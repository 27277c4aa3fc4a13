"""If there are more campaigns than one invocation can work on, it fans out. No campaign is left out."""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.api.services import Services
from chalicelib.calling.sharding import WEIGHT_PER_INVOCATION, select_own_work
from chalicelib.domain.eastern import local_date
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign, Day, Entry, Plan, Profile, Schedule, Status, Window
from chalicelib.domain.sharding import Work
from chalicelib.functions.fan_out import fan_out, part_of, shards_of
from chalicelib.runtime.clock import SystemClock
from chalicelib.storage.campaign_items import SHARDS
from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from infra.deploy.cloudformation import deploy
from infra.deploy.package import build
from infra.local.cloud import Emulated
from infra.local.emulator import Emulator
from tests.support.caller import messages_in, wait
from tests.support.campaigns import numbers, prepare_running
from tests.support.databases import with_work
from tests.support.ticks import TICK, disable_triggers, tick_of
from tests.support.world import World

STAGE = "shared"


def in_shards(*sizes: int) -> dict[int, list[Work]]:
    """So many campaigns with work in each shard. The number of their dialers isn't known."""
    return {
        shard: [Work(CampaignKey(f"of-{shard}", number), None) for number in range(size)]
        for shard, size in enumerate(sizes)
    }


def refuse(_: Sequence[int], __: float) -> None:
    raise ConnectionError


def campaigns_of_each_invocation(found: dict[int, list[Work]], most: int) -> Iterator[list[CampaignKey]]:
    """The campaigns of the first invocation, and of all that follow from it."""
    further: list[Sequence[int]] = []
    yield select_own_work(found, lambda share, _: further.append(share), most=most).campaigns
    for share in further:
        yield from campaigns_of_each_invocation({shard: found[shard] for shard in share}, most)


def test_an_invocation_keeps_what_it_can_do_alone() -> None:
    assert len(select_own_work(in_shards(2, 0, 3), refuse, most=5).campaigns) == 5
    assert select_own_work(in_shards(0), refuse, most=5).campaigns == []


def test_an_invocation_fans_out_the_shards_that_are_too_much_for_it() -> None:
    further: dict[Sequence[int], float] = {}
    own = select_own_work(in_shards(2, 2, 2, 1, 5), further.__setitem__, most=4)
    assert sorted(own.campaigns) == [
        CampaignKey("of-0", 0),
        CampaignKey("of-0", 1),
        CampaignKey("of-1", 0),
        CampaignKey("of-1", 1),
    ]
    assert list(further) == [(2, 3), (4,)]


def test_shards_are_divided_by_the_dialers_that_their_campaigns_use() -> None:
    further: dict[Sequence[int], float] = {}
    found = {
        0: [Work(CampaignKey("acme", 1), dialers=30), Work(CampaignKey("acme", 2), None)],
        1: [Work(CampaignKey("acme", 3), dialers=60)],
        2: [Work(CampaignKey("acme", 4), dialers=0.5), Work(CampaignKey("acme", 5), dialers=29.5)],
    }
    own = select_own_work(found, further.__setitem__, most=40)
    assert sorted(own.campaigns) == [CampaignKey("acme", 1), CampaignKey("acme", 2)]
    # A campaign of which nothing is known counts as the average of the others.
    assert own.part == pytest.approx((30 + 30) / 150)
    assert further == {(1,): pytest.approx(60 / 150), (2,): pytest.approx(30 / 150)}


def test_each_invocation_gets_the_dialers_that_its_campaigns_use() -> None:
    further: dict[Sequence[int], float] = {}
    own = select_own_work(in_shards(2, 2, 2, 1, 5), further.__setitem__, part=0.6, most=4)
    assert own.part == pytest.approx(0.2)
    assert further == {(2, 3): pytest.approx(0.15), (4,): pytest.approx(0.25)}
    alone = select_own_work(in_shards(2, 3), refuse, part=0.6, most=4)
    assert alone.part == pytest.approx(0.6)


def test_every_campaign_belongs_to_one_invocation() -> None:
    found = in_shards(3, 1, 4, 1, 5, 9, 2, 6)
    invocations = list(campaigns_of_each_invocation(found, most=6))
    assert sorted(campaign for each in invocations for campaign in each) == sorted(
        work.campaign for works in found.values() for work in works
    )
    assert [len(each) for each in invocations] == [4, 5, 5, 9, 2, 6]


def test_an_invocation_keeps_shards_that_it_cannot_fan_out() -> None:
    assert len(select_own_work(in_shards(2, 2, 2), refuse, most=2).campaigns) == 6


def test_a_further_invocation_gets_its_shards_and_its_part_of_the_dialers() -> None:
    requests: list[dict[str, Any]] = []

    class Client:
        def invoke(self, **request: Any) -> None:
            requests.append(request)

    fan_out(tick_of("pacer"), (3, 4), 0.25, connect=Client)
    (request,) = requests
    event = tick_of("pacer")
    event.detail = json.loads(request["Payload"])["detail"]
    assert (shards_of(tick_of("pacer")), shards_of(event)) == (range(SHARDS), [3, 4])
    assert (part_of(tick_of("pacer")), part_of(event)) == (1, 0.25)
    assert request["FunctionName"].endswith(":function:callpacer-prod-pacer")
    assert request["InvocationType"] == "Event"
    assert json.loads(request["Payload"]).keys() == TICK.keys()


def test_after_a_failure_no_further_shards_are_fanned_out() -> None:
    tried: list[Sequence[int]] = []

    def time_out(share: Sequence[int], _: float) -> None:
        tried.append(share)
        raise TimeoutError

    own = select_own_work(in_shards(2, 2, 2, 2), time_out, most=2)
    assert tried == [(1,)]
    assert len(own.campaigns) == 8


def test_each_invocation_begins_with_a_random_campaign() -> None:
    first = [
        select_own_work(in_shards(2, 3), refuse, most=5, random_fraction=lambda: random_fraction).campaigns[0]  # noqa: B023 # at once
        for random_fraction in (0.0, 0.2, 0.4, 0.6, 0.999)
    ]
    assert first == [
        CampaignKey("of-0", 0),
        CampaignKey("of-0", 1),
        CampaignKey("of-1", 0),
        CampaignKey("of-1", 1),
        CampaignKey("of-1", 2),
    ]


@pytest.mark.parametrize("function", ["pacer", "settler"])
def test_a_tick_without_time_leaves_campaigns_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    prepare_running(world, numbers(1))
    read: list[int] = []
    find = world.services.campaigns.find

    def find_in_a_minute(key: CampaignKey) -> Campaign | None:
        read.append(key.id)
        world.clock.turn_to(world.clock.now() + timedelta(minutes=1))
        return find(key)

    monkeypatch.setattr(world.services.campaigns, "find", find_in_a_minute)
    tick = world.pacer.tick if function == "pacer" else world.settler.settle
    tick(world.clock.now() + timedelta(seconds=90), [CampaignKey("acme", identifier) for identifier in (1, 2, 3)])
    assert read == [1, 2]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Emulated]:
    """A deployment whose rules and queue invoke nothing."""
    with Emulator(tmp_path) as emulator:
        cloud = Emulated(emulator.endpoint)
        deploy(build(), f"callpacer-{STAGE}", {"Stage": STAGE}, cloud)
        disable_triggers(cloud.client, STAGE)
        yield cloud


@pytest.mark.timeout(400)  # each function starts as a process of its own
def test_deployed_functions_fan_out(cloud: Emulated, tmp_path: Path) -> None:
    """Too many campaigns have one number each. The pacer dispatches it. The settler observes the head."""
    campaigns = int(WEIGHT_PER_INVOCATION) + 40
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=f"callpacer-{STAGE}")["Stacks"]
    queue_url = next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "QueueUrl")
    database = Database(f"callpacer-{STAGE}", cloud.client("dynamodb"))
    services = Services.over(database, SystemClock())
    Switch(database, stack["StackId"]).turn(on=True, now=datetime.now(UTC))
    _start_campaigns(services, campaigns)
    in_one_shard = len(with_work(services.progress, datetime.now(UTC), [5]))

    def invoke(function: str, **detail: object) -> Any:
        payload = json.dumps({**TICK, "detail": detail})
        answer = cloud.client("lambda").invoke(FunctionName=f"callpacer-{STAGE}-{function}", Payload=payload)
        return json.load(answer["Payload"])

    def with_observed_heads() -> int:
        return sum(bool(campaign.head_observations) for campaign in services.campaigns.page("acme"))

    def settler_ticks() -> int:
        return (tmp_path / "functions.log").read_text().count('"SettlerTicks": 1')

    assert invoke("pacer", shards=[5])["dials"] == in_one_shard
    assert 0 < invoke("pacer")["dials"] < campaigns - in_one_shard
    wait(lambda: messages_in(cloud.client("sqs"), queue_url) == campaigns, patience=150)

    invoke("settler", shards=[5])
    assert with_observed_heads() == in_one_shard
    invoke("settler")
    wait(lambda: settler_ticks() >= 3, patience=150)
    deadline = time.monotonic() + 150
    while with_observed_heads() < campaigns:
        # On a busy machine a tick runs out of time, and leaves the rest to the next one.
        assert time.monotonic() < deadline
        invoke("settler")


@pytest.mark.parametrize("function", ["pacer", "settler"])
def test_a_deployed_function_that_fails_logs_its_metrics(cloud: Emulated, tmp_path: Path, function: str) -> None:
    services = Services.over(Database(f"callpacer-{STAGE}", cloud.client("dynamodb")), SystemClock())
    _start_campaigns(services, 1)
    broken = {"Key": {"account": {"S": "acme"}, "id": {"N": "1"}}, "UpdateExpression": "REMOVE revision"}
    cloud.client("dynamodb").update_item(TableName=f"callpacer-{STAGE}-campaigns", **broken)
    answer = cloud.client("lambda").invoke(FunctionName=f"callpacer-{STAGE}-{function}", Payload=json.dumps(TICK))
    assert answer["FunctionError"]
    log = (tmp_path / "functions.log").read_text()
    assert '"Campaign": "acme/1"' in log
    assert ('"Ticks": 1' if function == "pacer" else '"SettlerTicks": 1') in log


def _start_campaigns(services: Services, campaigns: int) -> None:
    now = datetime.now(UTC)
    today = local_date(now)
    services.schedules.add(Schedule("acme", 1, None, tuple(Day)), None, now)
    services.profiles.add(Profile("acme", 1, None, 1, 60, 0), None, now)
    window = Window(1, 0, 24 * 60)
    plan = Plan(today, today + timedelta(days=1), 1, (window,), "http://tenant.example/start", None)
    for identifier in range(1, campaigns + 1):
        number = Entry(f"tel:+1222{identifier:07d}")
        services.campaigns.add(Campaign("acme", identifier, plan, Status.CREATED), [number], None, now)
        services.campaigns.start(CampaignKey("acme", identifier), None, now)
