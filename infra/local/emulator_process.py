"""The AWS emulator's own process: ministack, served on a socket it is handed, and stopped without cutting work short.

It ends on SIGTERM or when its standard input closes, so that it never outlives whoever started it.

    python -m infra.local.emulator_process <descriptor of the listening socket> <log of the functions> <mark> < pipe

The mark is a file that is there until the state is saved.
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

#: seconds that functions at work when the end comes may take to finish
PATIENCE = 20.0
#: seconds from one word to the emulator to look into its queues to the next; it looks after each, or each other one
_BETWEEN_LOOKS = 0.05


def main() -> None:
    descriptor, functions_log, unsaved = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    unsaved.touch()
    lambda_svc._emit_lambda_logs = _writer(functions_log)
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
    looking = asyncio.create_task(_keep_looking())

    async def drained() -> None:
        await ending.wait()
        await _drain()

    await serve(app, config, shutdown_trigger=drained)
    looking.cancel()
    # The state is saved. Threads that still wait for functions given up on would keep the process.
    unsaved.unlink()  # noqa: ASYNC240 # nothing else goes on any more
    os._exit(0)


def _await_end_of_input(loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
    os.read(sys.stdin.fileno(), 1)
    loop.call_soon_threadsafe(end)


async def _keep_looking() -> None:
    """Has functions get a delayed message as soon as it is visible.

    AWS's pollers are in long polls all the time, which end when there is a message. ministack looks once a second,
    unless a message comes that isn't delayed.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
    """
    while True:
        lambda_svc._esm_wake.set()
        await asyncio.sleep(_BETWEEN_LOOKS)


async def _drain() -> None:
    """Starts no more functions and waits for those at work: what they leave half done would count as uncertain."""
    lambda_svc._poll_sqs = _nothing
    eventbridge._tick_scheduled_rules = _nothing
    deadline = time.monotonic() + PATIENCE
    # A batch that was just taken from the queue isn't counted as an execution yet.
    await asyncio.sleep(0.1)
    while lambda_svc.executions_in_flight()[0] and time.monotonic() < deadline:  # noqa: ASYNC110 # it has no event
        await asyncio.sleep(0.05)


def _nothing() -> bool:
    return False


def _without_math(record: Callable[..., Any]) -> Callable[..., Any]:
    """ministack refuses alarms on metric math. Nobody looks at alarms here: it takes the first metric in its place."""

    def taken(name: str, alarm: dict[str, Any]) -> Any:
        measured = next((one["MetricStat"] for one in alarm.get("Metrics", ()) if "MetricStat" in one), None)
        if measured is not None:
            rest = {key: value for key, value in alarm.items() if key != "Metrics"}
            alarm = {
                **rest,
                **measured["Metric"],
                "Period": measured["Period"],
                "Statistic": measured["Stat"],
            }
        return record(name, alarm)

    return taken


def _writer(path: str) -> Callable[..., None]:
    """Puts what functions say into one file.

    ministack keeps it as a log stream for each invocation, in memory and in the saved state, and never forgets one.
    """
    log = logging.getLogger("callpacer.functions")
    log.propagate = False
    handler = RotatingFileHandler(path, maxBytes=10_000_000, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)

    def write(function: Any, request_id: str, said: str, error: bool, duration_ms: int, **_: Any) -> None:
        name = function.get("config", function)["FunctionName"]
        for line in said.splitlines():
            log.warning("%s %s", name, line)
        if error:
            log.warning("%s failed after %d ms (request %s)", name, duration_ms, request_id)

    return write


if __name__ == "__main__":
    main()
