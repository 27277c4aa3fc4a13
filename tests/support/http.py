"""A client of the API in this process. It calls the function with the event that API Gateway would send, and reads the
answer that API Gateway would get.

The events are those of API Gateway's REST proxy integration with `*/*` as binary media type. Chalice's own test client
is no substitute: it never encodes a body.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from chalice.app import Chalice

from chalicelib.api.routes import blueprint
from chalicelib.api.services import Services

TOKEN = "3cbde128-32b6-47aa-9e62-6353f8b06812"


@dataclass(frozen=True)
class Reply:
    status: int
    #: by lower-case name
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.text)


class Client:
    """Sends one account's token, unless a request has an Authorization header of its own."""

    def __init__(self, app: Chalice, token: str | None = TOKEN) -> None:
        self.app = app
        self._token = token

    def get(self, target: str, **headers: str) -> Reply:
        return self.ask("GET", target, headers=_names(headers))

    def delete(self, target: str, **headers: str) -> Reply:
        return self.ask("DELETE", target, headers=_names(headers))

    def post(self, target: str, *, key: str | None = None, **fields: object) -> Reply:
        """Send the fields as a JSON object; `key` is the Idempotency-Key."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.ask("POST", target, json.dumps(fields).encode(), headers)

    def patch(self, target: str, **fields: object) -> Reply:
        """Send the fields in the query, as the reference does: text as it is, anything else as JSON text."""
        query = urlencode(
            {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        )
        return self.ask("PATCH", f"{target}?{query}")

    def ask(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """`target` is the path and query of the request's first line, encoded."""
        named = {"Host": "callpacer.example", **(headers or {})}
        if self._token is not None and "authorization" not in {name.lower() for name in named}:
            named["Authorization"] = f"Bearer {self._token}"
        return _reply(self.app(event(list(self.app.routes), method, target, body, named), None))


def multipart(**fields: str | bytes) -> bytes:
    """A form's body: a text is a field, bytes are a file."""
    parts = []
    for name, value in fields.items():
        filename = '; filename="numbers.csv"' if isinstance(value, bytes) else ""
        content = value if isinstance(value, bytes) else value.encode()
        parts.append(f'--B\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + content)
    return b"\r\n".join([*parts, b"--B--\r\n"])


def app_over(services: Services) -> Chalice:
    """The API alone, over these services."""
    app = Chalice("callpacer", configure_logs=False)
    app.register_blueprint(blueprint(lambda: services))
    return app


def event(
    resources: Sequence[str], method: str, target: str, body: bytes, headers: Mapping[str, str]
) -> dict[str, Any]:
    """The event of a request. An unknown path has one too, though API Gateway itself would answer it."""
    path, _, query_text = target.partition("?")
    path = unquote(path)
    resource, parameters = _route(resources, path)
    query = parse_qs(query_text, keep_blank_values=True)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {"resourcePath": resource, "httpMethod": method, "path": f"/api{path}", "stage": "api"},
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }


def _route(resources: Sequence[str], path: str) -> tuple[str, dict[str, str]]:
    """The resource of a path, and the values of its parameters. A literal resource wins over one with parameters."""
    if path != "/":
        path = path.removesuffix("/")  # as API Gateway does
    pieces = path.split("/")
    for resource in sorted(resources, key=lambda one: "{" in one):
        names = resource.split("/")
        if len(names) == len(pieces) and all(
            n == p or (n[:1] == "{" and p) for n, p in zip(names, pieces, strict=True)
        ):
            return resource, {n.strip("{}"): p for n, p in zip(names, pieces, strict=True) if n[:1] == "{"}
    return path, {}


def _reply(answer: dict[str, Any]) -> Reply:
    json.dumps(answer, allow_nan=False)  # as the Lambda runtime does
    assert not answer.get("isBase64Encoded")
    assert answer.get("multiValueHeaders", {}) == {}
    text = answer["body"]
    text.encode()
    return Reply(answer["statusCode"], {name.lower(): value for name, value in answer["headers"].items()}, text)


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
