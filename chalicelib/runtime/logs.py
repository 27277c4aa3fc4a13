"""What functions say, as JSON lines that CloudWatch Logs Insights finds by campaign and call.

A phone number is never said whole, only its last four digits; a token not at all.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Entry

#: under these names a record carries what it is about
_FIELDS = ("campaign", "call_id", "number", "attempt")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(stream: TextIO) -> None:
    """Whatever is logged at INFO or above goes to `stream`, a JSON object a line, and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    # Lambda's own handler would say everything once more.
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # The SDK says a lot at INFO that isn't about calls.
    logging.getLogger("botocore").setLevel(logging.WARNING)


def write_log_line(line: str) -> None:
    """CloudWatch takes what a function writes on its standard output."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def about(key: CallKey, entry: Entry | None = None, attempt: int | None = None) -> dict[str, object]:
    """What a record about a call carries, as logging's `extra`."""
    found: dict[str, object] = {**about_campaign(key.campaign), "call_id": key.call_id}
    if entry is not None:
        found["number"] = last_four(entry)
    if attempt is not None:
        found["attempt"] = attempt
    return found


def about_campaign(campaign: CampaignKey) -> dict[str, object]:
    return {"campaign": str(campaign)}


def last_four(entry: Entry) -> str:
    """As much of the number as tells it from its neighbours."""
    return "…" + entry.destination.partition(";")[0][-4:]
