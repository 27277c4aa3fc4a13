"""What is measured, and how it reaches CloudWatch: as lines in the log, in its embedded metric format.

A line costs what a line of the log costs, no request is made, and a function that dies loses only what it had not done.
The format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Protocol

#: in which all of them are found
NAMESPACE = "callpacer"
#: by which deployments in one AWS account are told apart
DIMENSION = "Deployment"
#: how many values of a metric one line may have
_VALUES = 100


class Metric(StrEnum):
    """By its name in CloudWatch."""

    #: calls that got this outcome
    COMPLETED = "CallsCompleted"
    FAILED = "CallsFailed"
    UNCERTAIN = "CallsUncertain"
    #: calls that go back into the queue: not now, not sent, or to be tried again
    DEFERRED = "CallsDeferred"
    #: seconds from a call's instant to its being sent
    PACE_LAG = "PaceLag"
    REPORTS_DELIVERED = "ReportsDelivered"
    REPORTS_FAILED = "ReportsFailed"
    #: reports that are owed after the first attempt, and numbers that wait, when the settler looks
    REPORTS_PENDING = "ReportsPending"
    NUMBERS_WAITING = "NumbersWaiting"
    #: numbers whose message was lost
    LOST = "MessagesLost"
    #: ticks that came to their end, and the seconds they took
    TICKS = "Ticks"
    TICK_DURATION = "TickDuration"

    @property
    def unit(self) -> str:
        return "Seconds" if self in (Metric.PACE_LAG, Metric.TICK_DURATION) else "Count"


class Metrics(Protocol):
    """Takes what is counted and measured."""

    def count(self, metric: Metric, number: int = 1) -> None: ...

    def measure(self, metric: Metric, value: float) -> None: ...


class EmbeddedMetrics:
    """Gathers what one invocation counts and measures, and writes it when that ends."""

    def __init__(self, deployment: str, write: Callable[[str], None]) -> None:
        """`write` takes one line."""
        self._deployment = deployment
        self._write = write
        self._counts: Counter[Metric] = Counter()
        self._values: dict[Metric, list[float]] = {}

    def count(self, metric: Metric, number: int = 1) -> None:
        self._counts[metric] += number

    def measure(self, metric: Metric, value: float) -> None:
        self._values.setdefault(metric, []).append(round(value, 3))

    def flush(self, now: datetime) -> None:
        """Write one line, or as many as the values need; none if there is nothing to tell."""
        told: dict[Metric, int | list[float]] = {**self._counts}
        while told or self._values:
            told |= {metric: values[:_VALUES] for metric, values in self._values.items()}
            self._write(json.dumps(self._line(told, now)))
            rest = {metric: values[_VALUES:] for metric, values in self._values.items()}
            self._values = {metric: values for metric, values in rest.items() if values}
            told = {}
        self._counts.clear()

    def _line(self, told: dict[Metric, int | list[float]], now: datetime) -> dict[str, object]:
        declared = [{"Name": metric, "Unit": metric.unit} for metric in told]
        directive = {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": declared}
        line: dict[str, object] = {
            "_aws": {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [directive]},
            DIMENSION: self._deployment,
        }
        return line | {str(metric): values for metric, values in told.items()}
