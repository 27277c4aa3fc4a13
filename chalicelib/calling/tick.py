"""One minute's work on many campaigns, in which none holds up the others."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from chalicelib.domain.keys import CampaignKey
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about_campaign
from chalicelib.runtime.metrics import Metric, Metrics

logger = logging.getLogger(__name__)

R = TypeVar("R")


class Tick:
    """Begins when it is made, and starts nothing new after its deadline."""

    def __init__(self, what: str, deadline: datetime, clock: Clock, metrics: Metrics) -> None:
        """`what` is what is done with a campaign, such as `paced`."""
        self._what = what
        self._deadline = deadline
        self._clock = clock
        self._metrics = metrics
        self._begun = clock.now()
        self._failures: dict[CampaignKey, Exception] = {}
        self._is_out_of_time = False

    def attempt(self, campaign: CampaignKey, work: Callable[[], R]) -> R | None:
        """What the work answers; None if it failed, or if there is no time for it. Threads may call this at once."""
        if self._clock.now() >= self._deadline:
            self._is_out_of_time = True
            return None
        try:
            return work()
        except Exception as error:
            logger.exception("the campaign was not %s", self._what, extra=about_campaign(campaign))
            self._failures[campaign] = error
            return None

    def close(self, ticks: Metric, duration: Metric) -> None:
        """Count the tick, and raise ExceptionGroup if campaigns failed.

        A tick in which campaigns fail is counted, because the others were worked on.
        """
        if self._is_out_of_time:
            logger.warning("there was no time for all campaigns to be %s", self._what)
            self._metrics.count(Metric.OUT_OF_TIME)
        self._metrics.count(ticks)
        self._metrics.measure(duration, (self._clock.now() - self._begun).total_seconds())
        for campaign in self._failures:
            self._metrics.blame(campaign)
        if self._failures:
            raise ExceptionGroup(f"some campaigns were not {self._what}", list(self._failures.values()))
