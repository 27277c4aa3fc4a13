"""More campaigns than one invocation looks after: others look after some of them, and nobody is left out."""

import json
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
from tests.support.campaigns import numbers, prepare, start
from tests.support.databases import with_work
from tests.support.ticks import TICK, tick_of
from tests.support.world import World

STAGE = "shared"


def in_shards(*sizes: int) -> dict[int, list[Work]]:
    """As many campaigns with something to do in each shard as is said, of which nothing is known."""
    return {
        shard: [Work(CampaignKey(f"of-{shard}", number), None) for number in range(size)]
        for shard, size in enumerate(sizes)
    }


def refuse(_: Sequence[int], __: float) -> None:
    raise ConnectionError


def looked_after(found: dict[int, list[Work]], most: int) -> Iterator[list[CampaignKey]]:
    """By each of the invocations that come of one."""
    further: list[Sequence[int]] = []
    yield select_own_work(found, lambda share, _: further.append(share), most=most).campaigns
    for share in further:
        yield from looked_after({shard: found[shard] for shard in share}, most)


def test_what_one_can_do_it_does_alone() -> None:
    assert len(select_own_work(in_shards(2, 0, 3), refuse, most=5).campaigns) == 5
    assert select_own_work(in_shards(0), refuse, most=5).campaigns == []


def test_what_is_too_much_is_handed_over_by_shards() -> None:
    further: dict[Sequence[int], float] = {}
    own = select_own_work(in_shards(2, 2, 2, 1, 5), further.__setitem__, most=4)
    assert sorted(own.campaigns) == [
        CampaignKey("of-0", 0),
        CampaignKey("of-0", 1),
        CampaignKey("of-1", 0),
        CampaignKey("of-1", 1),
    ]
    assert list(further) == [(2, 3), (4,)]


def test_campaigns_with_many_calls_are_shared_by_their_calls() -> None:
    further: dict[Sequence[int], float] = {}
    found = {
        0: [Work(CampaignKey("acme", 1), dialers=30), Work(CampaignKey("acme", 2), None)],
        1: [Work(CampaignKey("acme", 3), dialers=60)],
        2: [Work(CampaignKey("acme", 4), dialers=0.5), Work(CampaignKey("acme", 5), dialers=29.5)],
    }
    own = select_own_work(found, further.__setitem__, most=40)
    assert sorted(own.campaigns) == [CampaignKey("acme", 1), CampaignKey("acme", 2)]
    # the one of which nothing is known may use as many dialers as the others do on average
    assert own.part == pytest.approx((30 + 30) / 150)
    assert further == {(1,): pytest.approx(60 / 150), (2,): pytest.approx(30 / 150)}


def test_each_gets_as_much_of_the_dialers_as_its_campaigns_use() -> None:
    further: dict[Sequence[int], float] = {}
    own = select_own_work(in_shards(2, 2, 2, 1, 5), further.__setitem__, part=0.6, most=4)
    assert own.part == pytest.approx(0.2)
    assert further == {(2, 3): pytest.approx(0.15), (4,): pytest.approx(0.25)}
    alone = select_own_work(in_shards(2, 3), refuse, part=0.6, most=4)
    assert alone.part == pytest.approx(0.6)


def test_every_campaign_is_looked_after_by_one() -> None:
    there = in_shards(3, 1, 4, 1, 5, 9, 2, 6)
    found = list(looked_after(there, most=6))
    assert sorted(campaign for each in found for campaign in each) == sorted(
        work.campaign for works in there.values() for work in works
    )
    assert [len(each) for each in found] == [4, 5, 5, 9, 2, 6]


def test_what_cannot_be_handed_over_is_not_left_out() -> None:
    assert len(select_own_work(in_shards(2, 2, 2), refuse, most=2).campaigns) == 6


def test_a_further_invocation_is_told_its_shards() -> None:
    asked: list[dict[str, Any]] = []

    class Client:
        def invoke(self, **request: Any) -> None:
            asked.append(request)

    fan_out(tick_of("pacer"), (3, 4), 0.25, connect=Client)
    (request,) = asked
    event = tick_of("pacer")
    event.detail = json.loads(request["Payload"])["detail"]
    assert (shards_of(tick_of("pacer")), shards_of(event)) == (range(SHARDS), [3, 4])
    assert (part_of(tick_of("pacer")), part_of(event)) == (1, 0.25)
    assert request["FunctionName"].endswith(":function:callpacer-prod-pacer")
    assert request["InvocationType"] == "Event"
    assert json.loads(request["Payload"]).keys() == TICK.keys()


def test_after_a_failure_no_time_is_lost_with_more_of_them() -> None:
    tried: list[Sequence[int]] = []

    def slowly(share: Sequence[int], _: float) -> None:
        tried.append(share)
        raise TimeoutError

    own = select_own_work(in_shards(2, 2, 2, 2), slowly, most=2)
    assert tried == [(1,)]
    assert len(own.campaigns) == 8


def test_another_campaign_comes_first_each_time() -> None:
    begins = [
        select_own_work(in_shards(2, 3), refuse, most=5, random_fraction=lambda: random_fraction).campaigns[0]  # noqa: B023 # at once
        for random_fraction in (0.0, 0.2, 0.4, 0.6, 0.999)
    ]
    assert begins == [
        CampaignKey("of-0", 0),
        CampaignKey("of-0", 1),
        CampaignKey("of-1", 0),
        CampaignKey("of-1", 1),
        CampaignKey("of-1", 2),
    ]


def slow_to_find(world: World, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Reading a campaign takes a minute. Answers the ids that are asked for, as they come."""
    looked_at: list[int] = []
    find = world.services.campaigns.find

    def slowly(key: CampaignKey) -> Campaign | None:
        looked_at.append(key.id)
        world.clock.turn_to(world.clock.now() + timedelta(minutes=1))
        return find(key)

    monkeypatch.setattr(world.services.campaigns, "find", slowly)
    return looked_at


def test_a_pacer_without_time_leaves_the_rest_for_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(1))
    looked_at = slow_to_find(world, monkeypatch)
    world.pacer.tick(world.clock.now() + timedelta(seconds=90), [CampaignKey("acme", one) for one in (1, 2, 3)])
    assert looked_at == [1, 2]


def test_a_settler_without_time_leaves_the_rest_for_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(1))
    start(world)
    looked_at = slow_to_find(world, monkeypatch)
    world.settler.settle(world.clock.now() + timedelta(seconds=90), [CampaignKey("acme", one) for one in (1, 2, 3)])
    assert looked_at == [1, 2]


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


def test_deployed_functions_have_themselves_invoked_again_for_what_is_too_much(cloud: Emulated) -> None:
    """One number in each of too many campaigns: the pacer hands it over, and the settler marks that it was."""
    campaigns = int(WEIGHT_PER_INVOCATION) + 40
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=f"callpacer-{STAGE}")["Stacks"]
    queue_url = next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "QueueUrl")
    database = Database(f"callpacer-{STAGE}", cloud.client("dynamodb"))
    services = Services.over(database, SystemClock())
    Switch(database, stack["StackId"]).turn(on=True, now=datetime.now(UTC))
    _begin(services, campaigns)
    few = len(with_work(services.progress, datetime.now(UTC), [5]))

    def invoke(function: str, **detail: object) -> Any:
        payload = json.dumps({**TICK, "detail": detail})
        answer = cloud.client("lambda").invoke(FunctionName=f"callpacer-{STAGE}-{function}", Payload=payload)
        return json.load(answer["Payload"])

    def observe_head() -> int:
        return sum(bool(campaign.head_observations) for campaign in services.campaigns.page("acme"))

    assert invoke("pacer", shards=[5])["dials"] == few
    assert 0 < invoke("pacer")["dials"] < campaigns - few
    wait(lambda: messages_in(cloud.client("sqs"), queue_url) == campaigns, patience=60)

    invoke("settler", shards=[5])
    assert observe_head() == few
    invoke("settler")
    wait(lambda: observe_head() == campaigns, patience=60)


@pytest.mark.parametrize("function", ["pacer", "settler"])
def test_a_deployed_function_that_fails_has_told_its_metrics(cloud: Emulated, tmp_path: Path, function: str) -> None:
    services = Services.over(Database(f"callpacer-{STAGE}", cloud.client("dynamodb")), SystemClock())
    _begin(services, 1)
    broken = {"Key": {"account": {"S": "acme"}, "id": {"N": "1"}}, "UpdateExpression": "REMOVE revision"}
    cloud.client("dynamodb").update_item(TableName=f"callpacer-{STAGE}-campaigns", **broken)
    answer = cloud.client("lambda").invoke(FunctionName=f"callpacer-{STAGE}-{function}", Payload=json.dumps(TICK))
    assert answer["FunctionError"]
    told = (tmp_path / "functions.log").read_text()
    assert '"Campaign": "acme/1"' in told
    assert ('"Ticks": 1' if function == "pacer" else '"SettlerTicks": 1') in told


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
        services.campaigns.start(CampaignKey("acme", identifier), None, now)
