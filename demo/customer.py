"""A customer of the API: creates schedule, profile and campaign by HTTP, and deletes them at the end."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from chalicelib.domain.eastern import local_date
from chalicelib.domain.models import Day
from demo.record import ATTEMPTS, GAP, RETRIED
from infra.local.deployment import LocalDeploymentFailed

#: seconds that an answer may take
_PATIENCE = 35
#: the campaign's rules for retries
RETRIES = {reason: {"attempts": ATTEMPTS, "gap": GAP} for reason in RETRIED}


class Refused(Exception):
    """The API refused a request; the message is for the user of the demo."""


class Customer:
    def __init__(self, url: str, token: str) -> None:
        """`url` is the API's, `/api` included."""
        self._url = urlsplit(url)
        self._token = token

    @contextmanager
    def campaign(self, numbers: bytes, per_minute: int, start_url: str, result_url: str) -> Iterator[int]:
        """The id of a campaign that may call at any hour. At the end it is deleted, with its schedule and profile.

        `numbers` is the content of a file.
        """
        nickname = f"demo-{uuid.uuid4().hex[:8]}"
        today, day = local_date(datetime.now(UTC)), timedelta(days=1)
        pace = {"period": 1, "amount_per_period": per_minute, "time_between_periods": 0}
        with ExitStack() as deletions:
            self._create(deletions, "/schedules", {"nickname": nickname, "days": json.dumps(list(Day))})
            self._create(
                deletions, "/profiles", {"nickname": nickname, **{name: str(value) for name, value in pace.items()}}
            )
            campaign = self._create(
                deletions,
                "/campaigns",
                {
                    "phone_numbers": numbers,
                    "start_date": str(today - day),
                    "end_date": str(today + day),
                    "schedule": nickname,
                    "profiles": json.dumps([{"profile": nickname, "start_time": "00:00", "end_time": "24:00"}]),
                    "start_url": start_url,
                    "result_url": result_url,
                    "retries": json.dumps(RETRIES),
                },
            )
            try:
                yield campaign
            except LocalDeploymentFailed:
                deletions.pop_all()  # there is no API to delete them by
                raise

    def start(self, campaign: int) -> None:
        self._request("POST", "/campaigns/start", {"campaign_id": str(campaign)})

    def progress(self, campaign: int) -> dict[str, int]:
        """How many numbers are in each state, as the API counts them."""
        progress = self._request("GET", f"/campaigns/{campaign}")["progress"]
        return {state: count for state, count in progress.items() if state != "total"}

    def _create(self, deletions: ExitStack, path: str, fields: Mapping[str, str | bytes]) -> int:
        identifier = int(self._request("POST", path, fields)["response"]["id"])
        deletions.callback(self._request, "DELETE", f"{path}/{identifier}")
        return identifier

    def _request(self, method: str, path: str, fields: Mapping[str, str | bytes] | None = None) -> Any:
        boundary = uuid.uuid4().hex
        headers = {"Authorization": f"Bearer {self._token}"}
        body = None
        if fields:
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            body = multipart(boundary, fields)
        connection = HTTPConnection(self._url.netloc, timeout=_PATIENCE)
        try:
            connection.request(method, self._url.path + path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise Refused(f"{method} {self._url.path}{path} was answered {answer.status}: {text}")
        return json.loads(text)


def multipart(boundary: str, fields: Mapping[str, str | bytes]) -> bytes:
    """A form as curl sends it: text is a field, bytes are a file."""
    parts = []
    for name, value in fields.items():
        content = value if isinstance(value, bytes) else value.encode()
        filename = '; filename="numbers.csv"\r\nContent-Type: text/csv' if isinstance(value, bytes) else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
