"""Two accounts send several requests at the same time, over a real database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from random import Random
from threading import Barrier

import pytest

from chalicelib.api.services import Services
from infra.local.emulator import Emulator
from tests.support.customer import Customer
from tests.support.databases import with_tables
from tests.support.http import Client, Reply, app_over
from tests.support.two_accounts import ACCOUNTS, BEGIN
from tests.support.world import HandClock

WORKERS, REQUESTS = 3, 30


@dataclass
class Worker:
    """A client of an account, which records what was accepted."""

    client: Client
    name: str
    made: list[int] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    #: the references of each upload that was accepted
    uploads: list[list[str]] = field(default_factory=list)

    def work(self, random: Random, begin: Barrier) -> None:
        begin.wait()
        for place in range(REQUESTS):
            random.choice([self.create, self.create, self.delete, self.upload, self.upload])(random, place)

    def create(self, _: Random, place: int) -> None:
        """The key is the same in both accounts."""
        key = f"{self.name} {place}"
        reply = self.client.post("/api/schedules", key=key, days=["mon"], nickname=key)
        assert reply.status == 200, reply
        self.made.append(reply.json["response"]["id"])

    def delete(self, random: Random, _: int) -> None:
        left = sorted({*self.made} - self.deleted)
        if left:
            one = random.choice(left)
            assert self.client.delete(f"/api/schedules/{one}").status == 200
            self.deleted.add(one)

    def upload(self, random: Random, place: int) -> None:
        references = [f"{self.name} {place} {number}" for number in range(random.randint(1, 4))]
        numbers = [f"+12223334444, {reference}" for reference in references]
        reply = self.client.post("/api/campaigns/add-calls", campaign_id=1, phone_numbers=numbers)
        assert reply.status == 200, reply
        self.uploads.append(references)


Accounts = dict[Customer, list[Worker]]


@pytest.fixture
def accounts(emulator: Emulator) -> Accounts:
    """Both accounts have a campaign 1, and workers of the same names."""
    services = Services.over(with_tables(emulator.client("dynamodb")), HandClock(BEGIN))
    customers = [Customer(services, name, token=f"token of {name}") for name in ACCOUNTS]
    for customer in customers:
        customer.any_campaign()
    return {
        customer: [
            Worker(Client(app_over(services), f"token of {customer.account}"), f"worker {n}") for n in range(WORKERS)
        ]
        for customer in customers
    }


def at_once(tasks: list[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result(timeout=60)


def test_both_accounts_keep_what_was_accepted(accounts: Accounts) -> None:
    all_workers = [worker for workers in accounts.values() for worker in workers]
    begin = Barrier(len(all_workers))
    at_once([partial(worker.work, Random(seed), begin) for seed, worker in enumerate(all_workers)])  # noqa: S311 # no secret
    for customer, workers in accounts.items():
        ids_are_unique_and_rise(workers)
        the_list_is_what_was_accepted(customer, workers)
        the_queue_is_what_was_accepted(customer, workers)


def test_a_key_that_all_clients_send_at_once_is_one_request_in_each_account(accounts: Accounts) -> None:
    begin = Barrier(len(accounts) * WORKERS)
    replies: dict[Customer, list[Reply]] = {customer: [] for customer in accounts}

    def create(customer: Customer, client: Client) -> None:
        begin.wait()
        pace = {"period": 1, "amount_per_period": 1, "time_between_periods": 0}
        replies[customer].append(client.post("/api/profiles", key="k", nickname="one", **pace))

    at_once([partial(create, customer, worker.client) for customer in accounts for worker in accounts[customer]])
    for customer, answered in replies.items():
        (made,) = [profile for profile in customer.get("/api/profiles").json if profile["nickname"] == "one"]
        assert len({(reply.status, reply.text) for reply in answered}) == 1
        assert (answered[0].status, answered[0].json["response"]["id"]) == (200, made["profile_id"])


def ids_are_unique_and_rise(workers: list[Worker]) -> None:
    made = [identifier for worker in workers for identifier in worker.made]
    assert len(made) == len(set(made))
    for worker in workers:
        assert worker.made == sorted(worker.made)
    # The campaign's schedule has the first id. No id is given to the other account.
    assert max(made) == len(made) + 1


def the_list_is_what_was_accepted(customer: Customer, workers: list[Worker]) -> None:
    left = {one for worker in workers for one in {*worker.made} - worker.deleted}
    assert [one["schedule_id"] for one in customer.get("/api/schedules").json] == sorted({1} | left)


def the_queue_is_what_was_accepted(customer: Customer, workers: list[Worker]) -> None:
    """Each upload is in one piece, and those of a worker are in the order in which it sent them."""
    calls = customer.get("/api/campaigns/1/calls").json
    assert [call["call_id"] for call in calls] == [2**32 + place for place in range(len(calls))]
    queue = [call["message_reference"] for call in calls]
    for worker in workers:
        places = [queue.index(upload[0]) for upload in worker.uploads]
        assert places == sorted(places)
        for first, upload in zip(places, worker.uploads, strict=True):
            assert queue[first : first + len(upload)] == upload
    assert len(queue) == sum(len(upload) for worker in workers for upload in worker.uploads)
    assert customer.get("/api/campaigns/1").json["progress"]["queued"] == len(queue)
