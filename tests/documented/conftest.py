"""The account of the reference's examples, in this process and in a deployment."""

import uuid
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from chalicelib.api.services import Services
from chalicelib.runtime.clock import SystemClock
from infra.local.deployment import LocalDeployment
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.customer import Customer
from tests.support.databases import with_tables
from tests.support.http import TOKEN, Reply
from tests.support.world import HandClock

#: the headers that the API itself sets; the gateway adds more
_API_HEADERS = ("content-type", "idempotency-replayed", "allow", "x-numbers-accepted", "x-numbers-dropped", "link")


class GatewayCustomer(Customer):
    """Sends requests over HTTP, through API Gateway to the deployed function, with a token of its own."""

    def __init__(self, services: Services, gateway_url: str) -> None:
        self._own_token = str(uuid.uuid4())
        super().__init__(services, account=f"documented-{self._own_token}", token=self._own_token)
        self._gateway = urlsplit(gateway_url.removesuffix("/api"))

    def ask(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        sent = {"Authorization": f"Bearer {self._own_token}", **(headers or {})}
        # All tests share the deployment, so the examples' token is replaced. Their host isn't the gateway's.
        sent["Authorization"] = sent["Authorization"].replace(TOKEN, self._own_token)
        sent.pop("Host", None)
        connection = HTTPConnection(self._gateway.hostname or "", self._gateway.port, timeout=30)
        try:
            connection.request(method, self._gateway.path + target, body, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        headers_of_api = {name.lower(): value for name, value in answer.getheaders() if name.lower() in _API_HEADERS}
        return Reply(answer.status, headers_of_api, text)


@pytest.fixture(scope="session")
def deployed(deployment: LocalDeployment) -> Services:
    return Services.over(deployment.database(), SystemClock())


_ON_A_DEPLOYMENT = [pytest.mark.xdist_group("deployment"), pytest.mark.waits]


@pytest.fixture(params=["in process", pytest.param("deployed", marks=_ON_A_DEPLOYMENT)])
def customer(request: pytest.FixtureRequest) -> Iterator[Customer]:
    if request.param == "deployed":
        deployment: LocalDeployment = request.getfixturevalue("deployment")
        yield GatewayCustomer(request.getfixturevalue("deployed"), deployment.gateway_url)
        return
    yield Customer(Services.over(with_tables(SimulatedDynamoDB()), HandClock()))
