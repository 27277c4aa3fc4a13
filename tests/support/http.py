"""A client of the API in process: a request comes as API Gateway hands it to the function, and the function's answer is
what API Gateway would have to send.

The events are built by hand, after API Gateway's REST proxy integration with `*/*` as binary media type: Chalice's own
test client never encodes a body.
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
    """Asks with one account's token, unless a request says otherwise."""

    def __init__(self, app: Chalice, token: str | None = TOKEN) -> None:
        self.app = app
        self._token = token

    def get(self, target: str, **headers: str) -> Reply:
        return self.ask("GET", target, headers=_names(headers))

    def delete(self, target: str, **headers: str) -> Reply:
        return self.ask("DELETE", target, headers=_names(headers))

    def post(self, target: str, *, key: str | None = None, **fields: object) -> Reply:
        """The fields as a JSON object; `key` is an Idempotency-Key."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.ask("POST", target, json.dumps(fields).encode(), headers)

    def patch(self, target: str, **fields: object) -> Reply:
        """The fields in the query, as the reference has it: text as it is, anything else as JSON text."""
        query = urlencode(
            {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        )
        return self.ask("PATCH", f"{target}?{query}")

    def ask(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """`target` is what stands in a request's first line: path and query, encoded."""
        named = {"Host": "callpacer.example", **(headers or {})}
        if self._token is not None and "authorization" not in {name.lower() for name in named}:
            named["Authorization"] = f"Bearer {self._token}"
        return _reply(self.app(event(list(self.app.routes), method, target, body, named), None))


def multipart(**fields: str | bytes) -> bytes:
    """A form's body: text is a field, bytes are a file."""
    parts = []
    for name, value in fields.items():
        filename = '; filename="numbers.csv"' if isinstance(value, bytes) else ""
        content = value if isinstance(value, bytes) else value.encode()
        parts.append(f'--B\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + content)
    return b"\r\n".join([*parts, b"--B--\r\n"])


def app_over(services: Services) -> Chalice:
    """The API alone, over services with a clock that can be turned."""
    app = Chalice("callpacer", configure_logs=False)
    app.register_blueprint(blueprint(lambda: services))
    return app


def event(
    resources: Sequence[str], method: str, target: str, body: bytes, headers: Mapping[str, str]
) -> dict[str, Any]:
    """What API Gateway makes of a request. What it would answer by itself, an unknown path, is handed over too."""
    path, _, query_text = target.partition("?")
    path = unquote(path)
    resource, captured = _route(resources, path)
    query = parse_qs(query_text, keep_blank_values=True)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": captured or None,
        "stageVariables": None,
        "requestContext": {"resourcePath": resource, "httpMethod": method, "path": f"/api{path}", "stage": "api"},
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }


def _route(resources: Sequence[str], path: str) -> tuple[str, dict[str, str]]:
    """The resource that a path belongs to, a literal one first, and what stands in the place of its parameters."""
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


def _reply(answered: dict[str, Any]) -> Reply:
    json.dumps(answered, allow_nan=False)  # as the Lambda runtime does
    assert not answered.get("isBase64Encoded")
    assert answered.get("multiValueHeaders", {}) == {}
    text = answered["body"]
    text.encode()
    return Reply(answered["statusCode"], {name.lower(): value for name, value in answered["headers"].items()}, text)


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
