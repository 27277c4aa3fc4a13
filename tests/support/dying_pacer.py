"""A pacer that kills itself, as `kill -9` does, after it has dispatched numbers and before it moves the head.

It is a program of its own. It paces the deployment that its environment names, and prints how many numbers it
dispatched. If there are none, it ends normally.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from datetime import timedelta

from botocore.session import get_session

from chalicelib.calling.pacer import Pacer
from chalicelib.domain.models import Campaign, Load
from chalicelib.gateway.queue import CallQueue
from chalicelib.gateway.queue import connect as connect_queue
from chalicelib.runtime.clock import SystemClock
from chalicelib.runtime.metrics import EmbeddedMetrics
from chalicelib.runtime.settings import Settings
from chalicelib.storage.client import connect
from chalicelib.storage.progress import ProgressStore
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch
from tests.support.databases import with_work


class DeadlyProgress(ProgressStore):
    """Kills the process that moves the head past dispatched numbers, before the write."""

    def advance_head(self, campaign: Campaign, head: int, load: Load | None = None) -> bool:
        if head > campaign.head:
            os.write(sys.stdout.fileno(), f"{head - campaign.head}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        return super().advance_head(campaign, head, load)


def main() -> None:
    settings = Settings.from_env(os.environ)
    session = get_session()
    database = connect(settings.tables, session)
    clock = SystemClock()
    stores = replace(Stores.of(database), progress=DeadlyProgress(database))
    pacer = Pacer(
        stores=stores,
        switch=Switch(database, settings.deployment),
        queue=CallQueue(connect_queue(session), settings.queue_url, clock.now, time.sleep),
        clock=clock,
        metrics=EmbeddedMetrics(settings.tables, lambda _: None),
        for_each=map,
        dialers=settings.dialers,
    )
    pacer.tick(clock.now() + timedelta(minutes=1), with_work(stores.progress, clock.now()))


if __name__ == "__main__":
    main()
