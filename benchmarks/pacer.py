"""A tick of the pacer that dispatches thousands of calls, compared with the same requests to SQS alone.

Tables and queue are the emulator's. The pacer also reads the campaign's numbers and reserves their slots.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.comparison import ROUNDS, compared
from chalicelib.domain.keys import CampaignKey
from chalicelib.storage.database import Database
from infra.local.emulator import Emulator
from tests.support.campaigns import numbers, prepare, start
from tests.support.databases import with_tables
from tests.support.world import HandClock, World

#: calls in a turn
CALLS = 2_000


def run(calls: int = CALLS, rounds: int = ROUNDS) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as state, Emulator(Path(state)) as emulator:
        sqs, dynamodb = emulator.client("sqs"), emulator.client("dynamodb")
        # Each turn has a campaign, tables and a queue of its own, so that all turns begin alike.
        worlds = iter([prepared(with_tables(dynamodb), calls) for _ in range(rounds + 1)])
        queues = (sqs.create_queue(QueueName=f"turn-{number}")["QueueUrl"] for number in range(2 * (rounds + 1)))
        requests: list[Mapping[str, Any]] = []

        def tick() -> None:
            world, queue = next(worlds), next(queues)
            requests.clear()

            def send(_: str, request: Mapping[str, Any]) -> None:
                requests.append(request)
                sqs.send_message_batch(**{**request, "QueueUrl": queue})

            world.sqs.listen = send
            world.tick()
            if world.services.campaigns.get(CampaignKey("acme", 1)).head != calls:
                raise RuntimeError("the pacer hasn't dispatched all calls")

        def bare() -> None:
            queue = next(queues)
            for request in requests:
                sqs.send_message_batch(**{**request, "QueueUrl": queue})

        yield from compared("calls", calls, ("a tick of the pacer", tick), ("its requests to SQS alone", bare), rounds)
        messages = sum(len(request["Entries"]) for request in requests)
        yield f"{calls:,} calls are {messages:,} messages in {len(requests):,} requests"


def prepared(database: Database, calls: int) -> World:
    """A world with a running campaign whose calls are all due in the next minute."""
    world = World(database, HandClock())
    prepare(world, numbers(calls), amount=calls)
    start(world)
    return world
