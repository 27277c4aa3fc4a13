"""Which path and method leads to which endpoint. No other module of the API knows Chalice."""

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import cast

from chalice.app import Blueprint, MultiDict, Request, Response

from chalicelib.api import calls, campaigns, cancel, envelope, events, forecast, profiles, schedules
from chalicelib.api.authentication import EVENTS_PATH
from chalicelib.api.dispatch import Endpoint, HttpRequest, answer
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.runtime import logs
from chalicelib.runtime.clock import SystemClock
from chalicelib.runtime.settings import Settings
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
        "PATCH": campaigns.update_without_id,
        "PUT": campaigns.update_without_id,
    },
    "/api/campaigns/start": {"POST": campaigns.start},
    "/api/campaigns/stop": {"POST": campaigns.stop},
    "/api/campaigns/add-calls": {"POST": campaigns.add_calls},
    "/api/campaigns/cancel-calls": {"POST": cancel.cancel_calls},
    "/api/campaigns/{id}": {
        "GET": campaigns.show,
        "PATCH": campaigns.update,
        "PUT": campaigns.update,
        "DELETE": campaigns.delete,
    },
    "/api/campaigns/{id}/calls": {"GET": calls.page},
    "/api/campaigns/{id}/forecast": {"GET": forecast.show},
    "/api/calls/{id}": {"GET": calls.show},
    EVENTS_PATH: {"POST": events.receive},
}

#: Every path is routed for all of these methods, so that a 405 has the envelope, too.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def blueprint(services: Callable[[], Services]) -> Blueprint:
    """The API. `services` is called at each request."""
    api = Blueprint(__name__)

    @api.middleware("http")
    def serve(request: Request, _: Callable[[Request], Response]) -> Response:
        """Answers every request, even to an unknown path.

        It is a middleware because a middleware gets its request as an argument. A view reads Chalice's current request,
        which all threads of a server share.
        """
        reply = _answer(services, request)
        return Response(
            reply.body, status_code=reply.status, headers={"Content-Type": reply.content_type, **reply.headers}
        )

    for path in ENDPOINTS:
        # An empty list accepts every content type: `chalicelib.api.request` finds the format in the body.
        api.route(path, methods=list(METHODS), content_types=[], name=path)(serve)
    return api


def _answer(services: Callable[[], Services], request: Request) -> Answer:
    endpoints = ENDPOINTS.get(request.path)
    if endpoints is None:
        return envelope.NOT_FOUND
    if request.method not in endpoints:
        return envelope.error(405, "Method not allowed.", Allow=", ".join(endpoints))
    query = request.query_params or MultiDict({})
    http_request = HttpRequest(
        method=request.method,
        path=request.path,
        headers={name.lower(): value for name, value in request.headers.items()},
        query={name: query.getlist(name) for name in query},
        body=cast(bytes, request.raw_body),  # Chalice declares text, too, but always encodes it
        identifier=(request.uri_params or {}).get("id"),
    )
    return answer(services, http_request, endpoints[request.method])


@cache
def from_environment() -> Services:
    settings = Settings.from_env(os.environ)
    logs.configure(sys.stdout)
    return Services.over(connect(settings.tables), SystemClock(), settings.retention)


routes = blueprint(from_environment)
