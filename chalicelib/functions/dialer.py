"""The dialer's Lambda function. The queue invokes it with one message, which is a slice."""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.session import get_session
from chalice.app import Blueprint, SQSEvent

from chalicelib.calling.composition import compose_dialer
from chalicelib.calling.dialer import Delivery, Dialer
from chalicelib.calling.refiller import Refiller
from chalicelib.errors import MissingSettings
from chalicelib.functions.invocation import invocation_deadline
from chalicelib.gateway.http.posting import HttpGateway
from chalicelib.gateway.queue import CallQueue, DeadLetters
from chalicelib.gateway.queue import connect as connect_queue
from chalicelib.runtime import logs
from chalicelib.runtime.clock import SystemClock
from chalicelib.runtime.metrics import EmbeddedMetrics
from chalicelib.runtime.settings import Settings
from chalicelib.storage.client import connect
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch

dialer_function = Blueprint(__name__)


# One message, and no batching window: a slice is the work of one invocation, however the queue is polled. With a window
# and little traffic, a message might wait for 20 s, even if the window is shorter.
# https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
@dialer_function.on_sqs_message(queue="callpacer-calls", batch_size=1, name="dialer")
def handle(event: SQSEvent) -> dict[str, Any]:
    """Answers the messages that SQS must deliver again, and only those (ReportBatchItemFailures)."""
    deliveries = [Delivery(record["messageId"], record["body"]) for record in event.to_dict()["Records"]]
    dialer, metrics = _dialer()
    again = asyncio.run(dialer.handle_batch(deliveries, invocation_deadline(event)))
    metrics.flush(datetime.now(UTC))
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in again]}


@cache
def _dialer() -> tuple[Dialer, EmbeddedMetrics]:
    settings = Settings.from_env(os.environ)
    if settings.public_url is None:
        raise MissingSettings(["CALLPACER_PUBLIC_URL"])
    logs.configure(sys.stdout)
    metrics = EmbeddedMetrics(settings.tables, logs.write_log_line)
    # Both clients share a session: each session reads all regions' endpoints, which takes 30 ms.
    session = get_session()
    database = connect(settings.tables, session)
    gateway = HttpGateway(allow_loopback=settings.allow_loopback)
    sqs, clock = connect_queue(session), SystemClock()
    stores, switch = Stores.of(database, settings.retention), Switch(database, settings.deployment)
    queue = CallQueue(sqs, settings.queue_url, clock.now, time.sleep)
    dialer = compose_dialer(
        stores=stores,
        switch=switch,
        refiller=Refiller(stores=stores, switch=switch, queue=queue, clock=clock),
        dead_letters=DeadLetters(sqs, settings.dead_letter_queue_url),
        start_url_client=gateway,
        result_url_client=gateway,
        clock=clock,
        metrics=metrics,
        run_blocking=asyncio.to_thread,
        public_url=settings.public_url,
    )
    return dialer, metrics
