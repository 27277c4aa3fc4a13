"""Posts the events of a call to the status_url of its dial."""

import time
from collections.abc import Callable, Sequence
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from examples.sip.outcome import Event

#: seconds before each further attempt
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
#: seconds that an answer may take
_PATIENCE = 10


def tell(status_url: str, event: Event, now: float, pauses: Sequence[float] = PAUSES) -> int:
    """Post an event until callpacer takes it. Returns the status of the last answer; 0 if there was none.

    `now` is in Unix seconds. A repeated event does no harm, so one without an answer is posted again. A 4xx other than
    429 is final: callpacer has read the event, and refuses it.
    """
    body = urlencode({**event.form(), "timestamp": f"{now:.3f}"}).encode()
    status = _post(status_url, body)
    for pause in pauses:
        if status not in (0, 429) and status < 500:
            break
        time.sleep(pause)
        status = _post(status_url, body)
    return status


def _post(url: str, body: bytes) -> int:
    try:
        # callpacer's dial is signed, so its status_url is callpacer's own.
        with urlopen(Request(url, body), timeout=_PATIENCE) as answer:  # noqa: S310
            return int(answer.status)
    except HTTPError as answer:
        answer.close()
        return answer.code
    except (URLError, OSError):
        return 0


#: Posts an event to a status_url at an instant, as `tell` does. Returns the status of the answer.
Tell = Callable[[str, Event, float], int]
