"""The AWS emulator's own process: serves ministack on a socket it inherits, and lets functions finish before it ends.

It ends on SIGTERM or when its standard input closes, so it never outlives the process that started it.

    python -m infra.local.emulator_process <descriptor of the listening socket> <functions' log> <unsaved mark> < pipe

The unsaved mark is a file that exists until the state is saved.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.services import eventbridge, lambda_svc
from ministack.services.cloudformation import provisioners

#: seconds that running functions may take to finish when it ends
PATIENCE = 20.0
#: seconds between two requests to the emulator to poll its queues; it may combine two of them
_BETWEEN_POLLS = 0.05


def main() -> None:
    descriptor, functions_log, unsaved = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    unsaved.touch()
    lambda_svc._emit_lambda_logs = _log_writer(functions_log)
    provisioners._cw_metric_alarm_record = _without_math(provisioners._cw_metric_alarm_record)
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    asyncio.run(_serve(config, unsaved))


async def _serve(config: Config, unsaved: Path) -> None:
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    threading.Thread(target=_await_end_of_input, args=(loop, ending.set), daemon=True).start()
    polling = asyncio.create_task(_keep_polling())

    async def drained() -> None:
        await ending.wait()
        await _drain()

    await serve(app, config, shutdown_trigger=drained)
    polling.cancel()
    # The state is saved. Threads that still wait for functions would keep the process alive.
    unsaved.unlink()  # noqa: ASYNC240 # nothing else runs any more
    os._exit(0)


def _await_end_of_input(loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
    os.read(sys.stdin.fileno(), 1)
    loop.call_soon_threadsafe(end)


async def _keep_polling() -> None:
    """Make the emulator deliver a delayed message as soon as it is visible.

    AWS's pollers always have a long poll open, which ends when there is a message. ministack polls once a second,
    unless a message without a delay arrives.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
    """
    while True:
        lambda_svc._esm_wake.set()
        await asyncio.sleep(_BETWEEN_POLLS)


async def _drain() -> None:
    """Start no more functions, and wait for those that run: a call without an outcome would become uncertain."""
    lambda_svc._poll_sqs = _nothing
    eventbridge._tick_scheduled_rules = _nothing
    deadline = time.monotonic() + PATIENCE
    # A message that was just received isn't counted as an execution yet.
    await asyncio.sleep(0.1)
    while lambda_svc.executions_in_flight()[0] and time.monotonic() < deadline:  # noqa: ASYNC110 # it has no event
        await asyncio.sleep(0.05)


def _nothing() -> bool:
    return False


def _without_math(record: Callable[..., Any]) -> Callable[..., Any]:
    """ministack refuses alarms on metric math. No alarm is read here, so its first metric replaces the math."""

    def record_first_metric(name: str, alarm: dict[str, Any]) -> Any:
        first = next((one["MetricStat"] for one in alarm.get("Metrics", ()) if "MetricStat" in one), None)
        if first is not None:
            rest = {key: value for key, value in alarm.items() if key != "Metrics"}
            alarm = {
                **rest,
                **first["Metric"],
                "Period": first["Period"],
                "Statistic": first["Stat"],
            }
        return record(name, alarm)

    return record_first_metric


def _log_writer(path: str) -> Callable[..., None]:
    """Write the output of functions into one file.

    ministack would keep a log stream for each invocation, in memory and in the saved state, and never delete one.
    """
    log = logging.getLogger("callpacer.functions")
    log.propagate = False
    handler = RotatingFileHandler(path, maxBytes=10_000_000, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)

    def write(function: Any, request_id: str, output: str, error: bool, duration_ms: int, **_: Any) -> None:
        name = function.get("config", function)["FunctionName"]
        for line in output.splitlines():
            log.warning("%s %s", name, line)
        if error:
            log.warning("%s failed after %d ms (request %s)", name, duration_ms, request_id)

    return write


if __name__ == "__main__":
    main()
