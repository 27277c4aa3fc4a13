"""The tenant's server: it writes down what it is asked, and answers in every way there is."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

from chalicelib.domain.outcome import Answered, NotSent, RequestResult, Unknown
from chalicelib.gateway.clients import LastLook
from tests.fake_aws.clock import SimulatedClock
from tests.simulation.faults import Faults

COMPLETED, FAILED, UNKNOWN = "completed", "failed", "unknown"
#: the ways in which a call that arrived ends otherwise than with a plain 200
_CALLS_GONE_WRONG: tuple[tuple[str, RequestResult], ...] = (
    (FAILED, Answered(404, {}, b"")),
    (FAILED, Answered(486, {}, b"")),
    (FAILED, Answered(503, {}, b"")),
    (FAILED, Answered(302, {"location": "http://tenant.example/elsewhere"}, b"")),
    (FAILED, Answered(200, {}, b'{"result": "failed", "callee_type": "fax", "duration": 3}')),
    (COMPLETED, Answered(204, {}, b"")),
    (COMPLETED, Answered(200, {}, b'{"result": "completed", "callee_type": "voice", "duration": 30}')),
    (COMPLETED, Answered(200, {}, b"<vxml/>")),
    (UNKNOWN, Unknown("timeout")),
    (UNKNOWN, Unknown("reset")),
)
_REPORTS_GONE_WRONG: tuple[RequestResult, ...] = (
    Answered(500, {}, b""),
    Answered(302, {"location": "http://tenant.example/elsewhere"}, b""),
    Answered(429, {"retry-after": "900"}, b""),
    Answered(503, {"retry-after": "Mon, 05 Jan 2026 13:20:00 GMT"}, b""),
    Answered(410, {}, b""),
    Unknown("timeout"),
    Unknown("reset"),
    NotSent("dns"),
    NotSent("refused"),
)


@dataclass(frozen=True)
class Call:
    """One that arrived at start_url."""

    at: datetime
    call_id: int
    attempt: int
    #: completed or failed, as it was answered; unknown if no answer got back
    ended: str
    idempotency_key: str


@dataclass(frozen=True)
class Report:
    """One that arrived at result_url and was answered there."""

    at: datetime
    call_id: int
    result: str
    #: what makes it known for the same if it comes again
    ids: tuple[str, str]
    #: HTTP
    status: int


class GatewayBroke(Exception):
    """A fault of our own, where none is expected."""


@dataclass
class SimulatedTenant:
    clock: SimulatedClock
    dice: random.Random
    faults: Faults
    calls: list[Call] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    #: until then result_url can't be reached at all
    deaf_until: datetime | None = None

    @property
    def took(self) -> set[int]:
        """The calls whose reports it has taken."""
        return {report.call_id for report in self.reports if report.status == 200}

    async def place_call(
        self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
    ) -> RequestResult:
        assert url.startswith("http://tenant.example/start")
        self.faults.cross()
        await self.clock.sleep(self.dice.choice([0.01, 0.05, 0.3, 3.0]))
        sick = self.faults.happens(self.faults.odds.sick)
        if sick and self.dice.random() < 0.3:
            return NotSent(self.dice.choice(["dns", "refused", "connect_timeout", "tls"]))
        if sick and self.dice.random() < 0.05:
            raise GatewayBroke
        await last_look()
        form = dict(parse_qsl(body.decode()))
        ended, request_result = self.dice.choice(_CALLS_GONE_WRONG) if sick else (COMPLETED, Answered(200, {}, b""))
        hangs = self.faults.happens(self.faults.odds.hung)
        breaks = sick and self.dice.random() < 0.05
        call_id, attempt = int(form["call_id"]), int(form["attempt"])
        arrived = Call(
            self.clock.now(), call_id, attempt, UNKNOWN if hangs or breaks else ended, headers["Idempotency-Key"]
        )
        self.calls.append(arrived)
        self.faults.cross()
        if hangs:
            await self.clock.sleep(3600)
        await self.clock.sleep(self.dice.choice([0.05, 0.2, 1.0, 25.0]))
        if breaks:
            raise GatewayBroke
        return request_result

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
        assert url.startswith("http://tenant.example/result")
        self.faults.cross()
        await self.clock.sleep(self.dice.choice([0.05, 0.2, 9.0]))
        if self.deaf_until is not None and self.clock.now() < self.deaf_until:
            return NotSent("refused")
        sick = self.faults.happens(self.faults.odds.sick)
        request_result = self.dice.choice(_REPORTS_GONE_WRONG) if sick else Answered(200, {}, b"")
        if isinstance(request_result, Answered):
            form = dict(parse_qsl(body.decode()))
            ids = headers["webhook-id"], headers["Idempotency-Key"]
            self.reports.append(
                Report(self.clock.now(), int(form["call_id"]), form["result"], ids, request_result.status)
            )
        self.faults.cross()
        return request_result
