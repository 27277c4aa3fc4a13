"""The functions' logs: JSON lines that CloudWatch Logs Insights finds by campaign and call.

Of a phone number only the last four digits are logged, and of a token nothing.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Entry

#: the attributes of a log record that name its campaign and its call
_FIELDS = ("campaign", "call_id", "number", "attempt")
#: characters of a message, and of a traceback
_LONGEST_TEXT = 20_000


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _shortened(record.getMessage()),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = _shortened(self.formatException(record.exc_info))
        return json.dumps(line)


def _shortened(text: str) -> str:
    """Without its middle, if it is long: an error may quote a whole request, and CloudWatch drops long lines."""
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[: _LONGEST_TEXT // 2]} \N{HORIZONTAL ELLIPSIS} {text[-_LONGEST_TEXT // 2 :]}"


def configure(stream: TextIO) -> None:
    """Send all that is logged at INFO or above to `stream` alone, one JSON object a line."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    # Lambda's own handler would log everything once more.
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # The SDK logs much at INFO that isn't about calls.
    logging.getLogger("botocore").setLevel(logging.WARNING)


def write_log_line(line: str) -> None:
    """Write to standard output, which CloudWatch stores as the function's log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def about(key: CallKey, entry: Entry | None = None, attempt: int | None = None) -> dict[str, object]:
    """Logging's `extra` for a record about a call."""
    fields: dict[str, object] = {**about_campaign(key.campaign), "call_id": key.call_id}
    if entry is not None:
        fields["number"] = last_four(entry)
    if attempt is not None:
        fields["attempt"] = attempt
    return fields


def about_campaign(campaign: CampaignKey) -> dict[str, object]:
    return {"campaign": str(campaign)}


def last_four(entry: Entry) -> str:
    """The last four digits, which are all that may be logged of a number."""
    return "…" + entry.destination.partition(";")[0][-4:]
