"""Dispatches the first reports of outcomes that events brought.

The first report of any other outcome is sent by its dialer, or waits as a task.
"""

from collections.abc import Sequence

from chalicelib.domain import messages
from chalicelib.domain.call import Call
from chalicelib.domain.messages import Report, Slice
from chalicelib.domain.models import Campaign
from chalicelib.domain.slicing import MOST_REPORTS
from chalicelib.gateway.queue import CallQueue, Message


class FirstReports:
    def __init__(self, queue: CallQueue) -> None:
        self._queue = queue

    def send(self, campaign: Campaign, calls: Sequence[Call]) -> None:
        """Send these reports in slices. It is written before that they are dispatched, so they are sent once.

        A crash in between costs a delay: then the reports are owed, and are scheduled like others.
        """
        groups = [calls[first : first + MOST_REPORTS] for first in range(0, len(calls), MOST_REPORTS)]
        slices = [
            Slice(campaign.key, reports=tuple(Report(call.key, 1) for call in group), spread=campaign.spread)
            for group in groups
        ]
        self._queue.send([Message(messages.to_message(one), None, campaign.account) for one in slices])
