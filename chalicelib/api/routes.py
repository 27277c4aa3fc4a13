"""Which path and method leads to which endpoint. All that knows Chalice."""

import os
from functools import cache
from typing import Any

from chalice.app import Blueprint, Response

from chalicelib.api import calls, campaigns, forecast, profiles, schedules
from chalicelib.api.exchange import Endpoint, Received, answer
from chalicelib.api.services import Services
from chalicelib.clock import SystemClock
from chalicelib.settings import Settings
from chalicelib.storage.client import connect

ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "/api/schedules": {"GET": schedules.page, "POST": schedules.create},
    "/api/schedules/{id}": {
        "GET": schedules.show,
        "PATCH": schedules.update,
        "PUT": schedules.update,
        "DELETE": schedules.delete,
    },
    "/api/profiles": {"GET": profiles.page, "POST": profiles.create},
    "/api/profiles/{id}": {
        "GET": profiles.show,
        "PATCH": profiles.update,
        "PUT": profiles.update,
        "DELETE": profiles.delete,
    },
    "/api/campaigns": {
        "GET": campaigns.page,
        "POST": campaigns.create,
        "PATCH": campaigns.update_none,
        "PUT": campaigns.update_none,
    },
    "/api/campaigns/start": {"POST": campaigns.start},
    "/api/campaigns/stop": {"POST": campaigns.stop},
    "/api/campaigns/add-calls": {"POST": campaigns.add_calls},
    "/api/campaigns/{id}": {
        "GET": campaigns.show,
        "PATCH": campaigns.update,
        "PUT": campaigns.update,
        "DELETE": campaigns.delete,
    },
    "/api/campaigns/{id}/calls": {"GET": calls.page},
    "/api/campaigns/{id}/forecast": {"GET": forecast.show},
}

routes = Blueprint(__name__)


def _register(path: str, endpoints: dict[str, Endpoint]) -> None:
    # The parameter's name is the placeholder's in the path: Chalice passes it by keyword.
    def view(id: str | None = None) -> Response:  # noqa: A002
        request: Any = routes.current_request
        received = Received(
            method=request.method,
            path=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            query={name: request.query_params.getlist(name) for name in request.query_params or ()},
            body=request.raw_body or b"",
            identifier=id,
        )
        given = answer(_services(), received, endpoints[request.method])
        return Response(
            given.body, status_code=given.status, headers={"Content-Type": given.content_type, **given.headers}
        )

    # An empty list of content types takes them all: requests are read by what they are.
    routes.route(path, methods=list(endpoints), content_types=[], name=path)(view)


for _path, _endpoints in ENDPOINTS.items():
    _register(_path, _endpoints)


@cache
def _services() -> Services:
    return Services.over(connect(Settings.from_env(os.environ).tables), SystemClock())
