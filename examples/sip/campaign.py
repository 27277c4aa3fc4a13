"""A campaign on a running callpacer, which calls its numbers through a start_url. It uses the HTTP API."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

#: seconds that an answer may take
_PATIENCE = 35
#: how many numbers are dialled a minute: so few that each finds a free line
_PER_MINUTE = 30
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Refused(Exception):
    """The API refused a request; the message is for the user."""


class Campaign:
    """A context manager: at its end the campaign is deleted, with its schedule and profile.

    Raises Refused, and OSError if callpacer can't be reached.
    """

    def __init__(self, url: str, token: str, numbers: Sequence[str], start_url: str) -> None:
        """`url` is the API's, `/api` included. The campaign may call at any hour."""
        self._url = url.rstrip("/")
        self._token = token
        self._numbers = numbers
        self._start_url = start_url
        #: the paths of what was created, in this order
        self._created: list[str] = []
        self._id = 0

    def __enter__(self) -> Self:
        today = datetime.now(UTC).date()
        nickname = f"ring-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
        try:
            self._create("/schedules", {"nickname": nickname, "days": list(_DAYS)})
            pace = {"period": 1, "amount_per_period": _PER_MINUTE, "time_between_periods": 0}
            self._create("/profiles", {"nickname": nickname, **pace})
            self._id = self._create(
                "/campaigns",
                {
                    # Eastern time may still have yesterday.
                    "start_date": str(today - timedelta(days=1)),
                    "end_date": str(today + timedelta(days=1)),
                    "schedule": nickname,
                    "profiles": [{"profile": nickname, "start_time": "00:00", "end_time": "24:00"}],
                    "start_url": self._start_url,
                    "phone_numbers": list(self._numbers),
                },
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._created:
            self._ask("DELETE", self._created.pop())

    def start(self) -> None:
        self._ask("POST", "/campaigns/start", {"campaign_id": self._id})

    def is_over(self) -> bool:
        """True if every number has its outcome."""
        return bool(self._ask("GET", f"/campaigns/{self._id}")["status"] == "completed")

    def calls(self) -> list[dict[str, Any]]:
        """Every number with its state and outcome, as the API shows them."""
        return list(self._ask("GET", f"/campaigns/{self._id}/calls"))

    def _create(self, path: str, fields: Mapping[str, object]) -> int:
        identifier = int(self._ask("POST", path, fields)["response"]["id"])
        self._created.append(f"{path}/{identifier}")
        return identifier

    def _ask(self, method: str, path: str, fields: Mapping[str, object] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        body = None if fields is None else json.dumps(fields).encode()
        request = Request(self._url + path, body, headers, method=method)  # noqa: S310 # the user's own callpacer
        try:
            with urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 # likewise
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise Refused(f"{method} {path} was answered {error.code}: {error.read().decode()}") from None
