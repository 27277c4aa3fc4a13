"""The ledger: what each function has used of AWS."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.cost import units
from chalicelib.runtime.logs import JsonLines

#: bytes that CloudWatch adds to each line, and bills
LINE_OVERHEAD = 26
#: bytes of Lambda's own lines for each invocation: START, END and REPORT
INVOCATION_LINES = 66 + 53 + 165 + 3 * LINE_OVERHEAD


@dataclass(frozen=True, order=True)
class Line:
    """One kind of request to DynamoDB."""

    function: str
    table: str
    operation: str


@dataclass
class Used:
    requests: int = 0
    reads: float = 0.0
    writes: int = 0


@dataclass
class Runs:
    """All invocations of one function."""

    number: int = 0
    milliseconds: int = 0


@dataclass
class Ledger:
    dynamodb: dict[Line, Used] = field(default_factory=lambda: defaultdict(Used))
    #: requests as they are billed, by operation
    sqs: Counter[str] = field(default_factory=Counter)
    runs: dict[str, Runs] = field(default_factory=lambda: defaultdict(Runs))
    log_lines: int = 0
    log_bytes: int = 0
    api_requests: int = 0
    scheduled_events: int = 0

    def note_dynamodb(self, line: Line, *, reads: float = 0.0, writes: int = 0) -> None:
        used = self.dynamodb[line]
        used.requests += 1
        used.reads += reads
        used.writes += writes

    def note_log(self, line: str) -> None:
        self.log_lines += 1
        self.log_bytes += len(line.encode()) + LINE_OVERHEAD

    def note_run(self, function: str, seconds: float) -> None:
        runs = self.runs[function]
        runs.number += 1
        runs.milliseconds += units.billed_milliseconds(seconds)
        self.log_bytes += INVOCATION_LINES


class LogCounter(logging.Handler):
    """Counts the lines that functions log, as they write them."""

    def __init__(self, ledger: Ledger, counts: Callable[[], bool]) -> None:
        """`counts` returns True if the current line comes from a function."""
        super().__init__()
        self.setFormatter(JsonLines())
        self._ledger = ledger
        self._counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        if self._counts():
            self._ledger.note_log(self.format(record))
