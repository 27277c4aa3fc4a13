"""Two accounts at the same moment, each with several requests under way: over a real database, and bounded in count."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from threading import Barrier

import pytest

from chalicelib.api.services import Services
from infra.local.emulator import Emulator
from tests.support.customer import Customer
from tests.support.databases import with_tables
from tests.support.http import Client, app_over
from tests.support.two_accounts import BEGIN, the_other
from tests.support.world import HandClock

WORKERS, REQUESTS = 3, 30

_accounts = count(1)


@pytest.fixture(scope="module")
def services(emulator: Emulator) -> Services:
    return Services.over(with_tables(emulator.client("dynamodb")), HandClock(BEGIN))


@dataclass
class Worker:
    """One of an account's; what it was answered is what it holds to."""

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


@dataclass
class Account:
    customer: Customer
    workers: list[Worker]


@pytest.fixture
def accounts(services: Services) -> list[Account]:
    """Both with a campaign 1, and workers of the same names."""
    both = []
    first = f"acme{next(_accounts)}"
    for name in (first, the_other(first)):
        customer = Customer(services, name, token=f"token of {name}")
        customer.any_campaign()
        clients = [Client(app_over(services), f"token of {name}") for _ in range(WORKERS)]
        both.append(Account(customer, [Worker(client, f"worker {n}") for n, client in enumerate(clients)]))
    return both


def at_once(tasks: list[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result(timeout=60)


def test_both_accounts_keep_what_they_were_answered(accounts: list[Account]) -> None:
    workers = [worker for account in accounts for worker in account.workers]
    begin = Barrier(len(workers))
    at_once([partial(worker.work, Random(seed), begin) for seed, worker in enumerate(workers)])  # noqa: S311 # no secret
    for account in accounts:
        ids_are_unique_and_rise(account)
        the_list_is_what_was_accepted(account)
        the_queue_is_what_was_accepted(account)


def test_one_key_sent_by_all_at_once_is_one_request_in_each_account(accounts: list[Account]) -> None:
    clients = [(account, worker.client) for account in accounts for worker in account.workers]
    begin = Barrier(len(clients))
    replies: list[tuple[str, int, str]] = []

    def create(account: Account, client: Client) -> None:
        begin.wait()
        reply = client.post(
            "/api/profiles", key="k", nickname="one", period=1, amount_per_period=1, time_between_periods=0
        )
        replies.append((account.customer.account, reply.status, reply.text))

    at_once([partial(create, *one) for one in clients])
    for account in accounts:
        answers = {(status, text) for name, status, text in replies if name == account.customer.account}
        (made,) = [profile for profile in account.customer.get("/api/profiles").json if profile["nickname"] == "one"]
        assert [status for status, _ in answers] == [200]
        assert {json.loads(text)["response"]["id"] for _, text in answers} == {made["profile_id"]}


def ids_are_unique_and_rise(account: Account) -> None:
    made = [identifier for worker in account.workers for identifier in worker.made]
    assert len(made) == len(set(made))
    for worker in account.workers:
        assert worker.made == sorted(worker.made)
    # one more than the campaign's own: no other account takes any
    assert max(made) == len(made) + 1


def the_list_is_what_was_accepted(account: Account) -> None:
    left = {one for worker in account.workers for one in {*worker.made} - worker.deleted}
    listed = [schedule["schedule_id"] for schedule in account.customer.get("/api/schedules").json]
    assert listed == sorted({1} | left)


def the_queue_is_what_was_accepted(account: Account) -> None:
    """Each upload in one piece, and each worker's in the order in which it sent them."""
    calls = account.customer.get("/api/campaigns/1/calls").json
    assert [call["call_id"] for call in calls] == [2**32 + place for place in range(len(calls))]
    queue = [call["message_reference"] for call in calls]
    for worker in account.workers:
        places = [queue.index(upload[0]) for upload in worker.uploads]
        assert places == sorted(places)
        for first, upload in zip(places, worker.uploads, strict=True):
            assert queue[first : first + len(upload)] == upload
    assert len(queue) == sum(len(upload) for worker in account.workers for upload in worker.uploads)
    assert account.customer.get("/api/campaigns/1").json["progress"]["queued"] == len(queue)
