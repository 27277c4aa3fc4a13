"""What is measured, and how it reaches CloudWatch: as lines in the log, in its embedded metric format.

A line costs what a line of the log costs, no request is made, and a function that dies loses only what it had not done.
The format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from threading import Lock
from typing import Protocol

from chalicelib.domain.keys import CampaignKey

#: in which all of them are found
NAMESPACE = "callpacer"
#: by which deployments in one AWS account are told apart
DIMENSION = "Deployment"
#: by which a campaign that fails is found
CAMPAIGN = "Campaign"
#: How many failing campaigns one invocation names. Each name makes a metric of its own, which CloudWatch bills by the
#: hour. Campaigns that work have none, and when all fail at once a few names are enough.
NAMED_AT_MOST = 10
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
    #: the pacer's ticks that came to their end, and the seconds they took
    TICKS = "Ticks"
    TICK_DURATION = "TickDuration"
    #: the settler's
    SETTLER_TICKS = "SettlerTicks"
    SETTLER_TICK_DURATION = "SettlerTickDuration"
    #: ticks of either that had no time left for some campaigns
    OUT_OF_TIME = "TicksOutOfTime"
    #: campaigns that a tick of either came to grief with
    CAMPAIGNS_FAILED = "CampaignsFailed"

    @property
    def unit(self) -> str:
        return "Seconds" if self in _SECONDS else "Count"


_SECONDS = frozenset({Metric.PACE_LAG, Metric.TICK_DURATION, Metric.SETTLER_TICK_DURATION})


class Metrics(Protocol):
    """Takes what is counted and measured."""

    def count(self, metric: Metric, number: int = 1) -> None: ...

    def measure(self, metric: Metric, value: float) -> None: ...

    def blame(self, campaign: CampaignKey) -> None:
        """Count a campaign that failed."""


class EmbeddedMetrics:
    """Gathers what one invocation counts and measures, and writes it when that ends."""

    def __init__(self, deployment: str, write: Callable[[str], None]) -> None:
        """`write` takes one line."""
        self._deployment = deployment
        self._write = write
        self._counts: Counter[Metric] = Counter()
        self._values: dict[Metric, list[float]] = {}
        self._blamed: list[str] = []
        # Campaigns are paced and settled by several threads at once.
        self._counting = Lock()

    def count(self, metric: Metric, number: int = 1) -> None:
        with self._counting:
            self._counts[metric] += number

    def measure(self, metric: Metric, value: float) -> None:
        self._values.setdefault(metric, []).append(round(value, 3))

    def blame(self, campaign: CampaignKey) -> None:
        if len(self._blamed) < NAMED_AT_MOST:
            self._blamed.append(str(campaign))
        else:
            self.count(Metric.CAMPAIGNS_FAILED)

    def flush(self, now: datetime) -> None:
        """Write one line, or as many as the values need; none if there is nothing to tell.

        A campaign that failed has a line of its own, which counts it among all of the deployment's too.
        """
        for campaign in self._blamed:
            self._write(json.dumps(self._line({Metric.CAMPAIGNS_FAILED: 1}, now, campaign)))
        self._blamed.clear()
        told: dict[Metric, int | list[float]] = {**self._counts}
        while told or self._values:
            told |= {metric: values[:_VALUES] for metric, values in self._values.items()}
            self._write(json.dumps(self._line(told, now)))
            rest = {metric: values[_VALUES:] for metric, values in self._values.items()}
            self._values = {metric: values for metric, values in rest.items() if values}
            told = {}
        self._counts.clear()

    def _line(
        self, told: dict[Metric, int | list[float]], now: datetime, campaign: str | None = None
    ) -> dict[str, object]:
        names = {DIMENSION: self._deployment} | ({} if campaign is None else {CAMPAIGN: campaign})
        dimensions = [[DIMENSION]] if campaign is None else [[DIMENSION], [DIMENSION, CAMPAIGN]]
        declared = [{"Name": metric, "Unit": metric.unit} for metric in told]
        directive = {"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": declared}
        about: dict[str, object] = {
            "_aws": {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [directive]},
            **names,
        }
        return about | {str(metric): values for metric, values in told.items()}
