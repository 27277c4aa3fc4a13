"""The pacer's Lambda function. A rule invokes it each minute."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial

from botocore.session import get_session
from chalice.app import Blueprint, CloudWatchEvent

from chalicelib.calling.pacer import Pacer
from chalicelib.calling.sharding import select_own_work
from chalicelib.functions.fan_out import fan_out, part_of, shards_of
from chalicelib.functions.invocation import SPARE, THREADS, invocation_deadline
from chalicelib.gateway.queue import CallQueue
from chalicelib.gateway.queue import connect as connect_queue
from chalicelib.runtime import logs
from chalicelib.runtime.clock import SystemClock
from chalicelib.runtime.metrics import EmbeddedMetrics
from chalicelib.runtime.settings import Settings
from chalicelib.storage.client import connect
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch

pacer_function = Blueprint(__name__)


@pacer_function.schedule("rate(1 minute)", name="pacer")
def handle(event: CloudWatchEvent) -> dict[str, int]:
    pacer, stores, metrics = _pacer()
    work = stores.progress.work_in(shards_of(event), datetime.now(UTC))
    own = select_own_work(work, partial(fan_out, event), part_of(event))
    try:
        ticked = pacer.tick(invocation_deadline(event) - SPARE, own.campaigns, own.part)
    finally:
        # The tick raises if a campaign failed. The metrics name the campaign.
        metrics.flush(datetime.now(UTC))
    return {"dials": ticked.dials, "reports": ticked.reports}


@cache
def _pacer() -> tuple[Pacer, Stores, EmbeddedMetrics]:
    settings = Settings.from_env(os.environ)
    logs.configure(sys.stdout)
    metrics = EmbeddedMetrics(settings.tables, logs.write_log_line)
    # Both clients share a session: each session reads all regions' endpoints, which takes 30 ms.
    session = get_session()
    database = connect(settings.tables, session)
    clock = SystemClock()
    stores = Stores.of(database)
    pacer = Pacer(
        stores=stores,
        switch=Switch(database, settings.deployment),
        queue=CallQueue(connect_queue(session), settings.queue_url, clock.now, time.sleep),
        clock=clock,
        metrics=metrics,
        for_each=ThreadPoolExecutor(THREADS).map,
        dialers=settings.dialers,
    )
    return pacer, stores, metrics
