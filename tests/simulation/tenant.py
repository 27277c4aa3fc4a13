"""The tenant's server: it logs the requests that it gets, and answers in every possible way."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

from chalicelib.domain.outcome import Answered, NotSent, RequestResult, Unknown
from chalicelib.gateway.clients import LastLook
from tests.fake_aws.clock import SimulatedClock
from tests.simulation.faults import Faults
from tests.simulation.provider import SimulatedProvider

COMPLETED, FAILED, UNKNOWN = "completed", "failed", "unknown"
#: the call lasts, and the provider's events tell how it ends
LASTS = "lasts"
#: how a call that arrived may end, other than by a plain 200
_OTHER_CALL_RESULTS: tuple[tuple[str, RequestResult], ...] = (
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
_FAILED_REPORTS: tuple[RequestResult, ...] = (
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
    """A call that arrived at start_url."""

    #: when the dialer began to connect
    begun: datetime
    #: when it arrived
    at: datetime
    call_id: int
    attempt: int
    #: completed or failed, by the answer; unknown if the dialer got none; lasts if the provider has taken it
    ended: str
    idempotency_key: str


@dataclass(frozen=True)
class Report:
    """A report that arrived at result_url and was answered."""

    at: datetime
    call_id: int
    result: str
    #: webhook-id and Idempotency-Key: the same if the report is sent again
    ids: tuple[str, str]
    #: of the answer
    status: int
    #: 1 for a corrected outcome
    revision: int
    #: which attempt it is about, if that wasn't the last one; None for the outcome
    attempt: int | None = None


class GatewayBroke(Exception):
    """An unexpected error of the dialer's own gateway."""


@dataclass
class SimulatedTenant:
    clock: SimulatedClock
    dice: random.Random
    faults: Faults
    provider: SimulatedProvider
    calls: list[Call] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    #: when it answered an attempt of a call
    answered: dict[tuple[int, int], datetime] = field(default_factory=dict)
    #: result_url refuses every connection before this
    unreachable_until: datetime | None = None

    @property
    def acknowledged(self) -> set[tuple[int, int]]:
        """The reports of outcomes that it has acknowledged, each by its call and revision."""
        return {(report.call_id, report.revision) for report in self.outcome_reports if report.status == 200}

    @property
    def outcome_reports(self) -> list[Report]:
        return [report for report in self.reports if report.attempt is None]

    @property
    def attempt_reports(self) -> list[Report]:
        """The reports of attempts before the last one."""
        return [report for report in self.reports if report.attempt is not None]

    async def place_call(
        self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
    ) -> RequestResult:
        assert url.startswith("http://tenant.example/start")
        begun = self.clock.now()
        self.faults.cross_boundary()
        await self.clock.sleep(self.dice.choice([0.01, 0.05, 0.3, 3.0]))
        fails = self.faults.happens(self.faults.odds.tenant_error)
        if fails and self.dice.random() < 0.3:
            return NotSent(self.dice.choice(["dns", "refused", "connect_timeout", "tls"]))
        if fails and self.dice.random() < 0.05:
            raise GatewayBroke
        await last_look()
        form = dict(parse_qsl(body.decode()))
        ended, request_result = self.dice.choice(_OTHER_CALL_RESULTS) if fails else (COMPLETED, Answered(200, {}, b""))
        lasts = not fails and self.provider.takes_call()
        if lasts:
            ended, request_result = LASTS, Answered(202, {}, b"")
        hangs = self.faults.happens(self.faults.odds.hung)
        breaks = fails and self.dice.random() < 0.05
        arrived = Call(
            begun,
            self.clock.now(),
            int(form["call_id"]),
            int(form["attempt"]),
            ended if lasts or not (hangs or breaks) else UNKNOWN,
            headers["Idempotency-Key"],
        )
        self.calls.append(arrived)
        if lasts:
            self.provider.place_call(form["status_url"])
        self.faults.cross_boundary()
        if hangs:
            await self.clock.sleep(3600)
        await self.clock.sleep(self.dice.choice([0.05, 0.2, 1.0, 25.0]))
        if breaks:
            raise GatewayBroke
        self.answered[arrived.call_id, arrived.attempt] = self.clock.now()
        return request_result

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
        assert url.startswith("http://tenant.example/result")
        self.faults.cross_boundary()
        await self.clock.sleep(self.dice.choice([0.05, 0.2, 9.0]))
        if self.unreachable_until is not None and self.clock.now() < self.unreachable_until:
            return NotSent("refused")
        fails = self.faults.happens(self.faults.odds.tenant_error)
        request_result = self.dice.choice(_FAILED_REPORTS) if fails else Answered(200, {}, b"")
        if isinstance(request_result, Answered):
            form = dict(parse_qsl(body.decode()))
            ids = headers["webhook-id"], headers["Idempotency-Key"]
            self.reports.append(
                Report(
                    self.clock.now(),
                    int(form["call_id"]),
                    form["result"],
                    ids,
                    request_result.status,
                    int(form.get("revision", "0")),
                    int(form["attempts"]) if form.get("final") == "false" else None,
                )
            )
        self.faults.cross_boundary()
        return request_result
