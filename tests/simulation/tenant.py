"""The tenant's server: it writes down what it is asked, and answers in every way there is."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl

from chalicelib.domain.outcome import Answered, Exchange, NotSent, Unknown
from chalicelib.gateway.telephone import LastLook
from tests.simulation.clock import SimulatedClock


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    at: datetime
    call_id: int
    attempt: int
    #: what start_url answered, or result_url was told
    result: str


@dataclass
class SimulatedTenant:
    clock: SimulatedClock
    dice: random.Random
    calls: list[Asked] = field(default_factory=list)
    reports: list[Asked] = field(default_factory=list)
    #: while it isn't, start_url and result_url fail in every way; then all is answered with 200
    healthy: bool = False

    async def place_call(
        self,
        url: str,  # noqa: ARG002 # the seam's
        body: bytes,
        headers: Mapping[str, str],  # noqa: ARG002 # the seam's
        *,
        last_look: LastLook,
    ) -> Exchange:
        await self.clock.sleep(self.dice.choice([0.01, 0.05, 0.3, 3.0]))
        if not self.healthy and self.dice.random() < 0.1:
            return NotSent(self.dice.choice(["dns", "refused", "tls"]))
        await last_look()
        form = dict(parse_qsl(body.decode()))
        exchange = self._exchange([Answered(486, {}, b""), Answered(404, {}, b""), Unknown("timeout")])
        result = str(exchange.status) if isinstance(exchange, Answered) else "unknown"
        self.calls.append(Asked(self.clock.now(), int(form["call_id"]), int(form["attempt"]), result))
        await self.clock.sleep(self.dice.choice([0.05, 0.2, 1.0, 25.0]))
        return exchange

    async def report(
        self,
        url: str,  # noqa: ARG002 # the seam's
        body: bytes,
        headers: Mapping[str, str],  # noqa: ARG002 # the seam's
    ) -> Exchange:
        await self.clock.sleep(self.dice.choice([0.05, 0.2, 9.0]))
        exchange = self._exchange(
            [Answered(500, {}, b""), Answered(429, {"retry-after": "900"}, b""), Unknown("timeout"), NotSent("dns")]
        )
        if isinstance(exchange, Answered):
            form = dict(parse_qsl(body.decode()))
            heard = form["result"] if exchange.status == 200 else "refused"
            self.reports.append(Asked(self.clock.now(), int(form["call_id"]), int(form["attempts"]), heard))
        return exchange

    def _exchange(self, failures: list[Exchange]) -> Exchange:
        if self.healthy or self.dice.random() < 0.7:
            return Answered(200, {}, b"")
        return self.dice.choice(failures)
