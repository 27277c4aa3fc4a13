"""The settler's Lambda function. A rule invokes it each minute."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial

from botocore.session import get_session
from chalice.app import Blueprint, CloudWatchEvent

from chalicelib.calling.settler import Settler
from chalicelib.calling.sharding import select_own_work
from chalicelib.calling.sleeper import Sleeper
from chalicelib.functions.fan_out import fan_out, shards_of
from chalicelib.functions.invocation import SPARE, THREADS, invocation_deadline
from chalicelib.gateway.queue import CallQueue
from chalicelib.gateway.queue import connect as connect_queue
from chalicelib.runtime import logs
from chalicelib.runtime.clock import SystemClock
from chalicelib.runtime.metrics import EmbeddedMetrics
from chalicelib.runtime.settings import Settings
from chalicelib.storage.client import connect
from chalicelib.storage.stores import Stores

settler_function = Blueprint(__name__)


@settler_function.schedule("rate(1 minute)", name="settler")
def handle(event: CloudWatchEvent) -> dict[str, int]:
    settler, stores, metrics = _settler()
    work = stores.progress.work_in(shards_of(event), datetime.now(UTC))
    own = select_own_work(work, partial(fan_out, event))
    try:
        settled = settler.settle(invocation_deadline(event) - SPARE, own.campaigns)
    finally:
        # The tick raises if a campaign failed. The metrics name the campaign.
        metrics.flush(datetime.now(UTC))
    return {"settled": settled}


@cache
def _settler() -> tuple[Settler, Stores, EmbeddedMetrics]:
    settings = Settings.from_env(os.environ)
    logs.configure(sys.stdout)
    metrics = EmbeddedMetrics(settings.tables, logs.write_log_line)
    clock = SystemClock()
    # Both clients share a session: each session reads all regions' endpoints, which takes 30 ms.
    session = get_session()
    stores = Stores.of(connect(settings.tables, session), settings.retention)
    queue = CallQueue(connect_queue(session), settings.queue_url, clock.now, time.sleep)
    for_each = ThreadPoolExecutor(THREADS).map
    return Settler(stores, clock, metrics, for_each, Sleeper(stores, clock), queue), stores, metrics
