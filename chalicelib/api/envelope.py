"""Answers: the reference's envelope, and the status and the sentence of every error."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.api.wording import InvalidFields
from chalicelib.errors import (
    Busy,
    InUse,
    KeyReused,
    NicknameTaken,
    NotAuthenticated,
    NotFound,
    ReferenceGone,
    TooLarge,
    TooManyToCompare,
)

JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    body: str
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def plain(value: object) -> Answer:
    """A list or an object, without an envelope."""
    return Answer(200, json.dumps(value, ensure_ascii=False))


def success(response: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    answer = plain({"status": "success"} if response is None else {"status": "success", "response": response})
    return replace(answer, headers=headers or {})


def error(status: int, sentence: str, **headers: str) -> Answer:
    body = json.dumps({"status": "error", "error": sentence}, ensure_ascii=False)
    return Answer(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})


NOT_FOUND = error(404, "Not found.")
INTERNAL_ERROR = error(500, "Something went wrong on our side.")


def _faults(reason: Exception) -> Mapping[str, Sequence[str]] | None:
    """The sentences about each wrong field; None for an error that isn't about fields."""
    match reason:
        case InvalidFields():
            return reason.faults
        case NicknameTaken():
            return {"nickname": ["The nickname has already been taken."]}
        case ReferenceGone(fields=fields):
            return {field: [f"The selected {field} is invalid."] for field in fields}
        case TooManyToCompare():
            rule = f"The unique field can't be campaign if the campaign has more than {reason.limit} numbers."
            return {"unique": [f"{rule} It has {reason.numbers}."]}
        case _:
            return None


def refusal(reason: Exception) -> Answer:
    """The answer to an error that refuses the request; INTERNAL_ERROR for any other exception."""
    faults = _faults(reason)
    if faults is not None:
        return Answer(422, json.dumps(faults, ensure_ascii=False))
    match reason:
        case NotAuthenticated():
            return error(401, "Unauthenticated.", WWW_Authenticate="Bearer")
        case NotFound():
            return error(404, f"{reason.kind.capitalize()} {reason.identifier} does not exist.")
        case InUse():
            thing = f"{reason.kind.capitalize()} {reason.nickname or ''}(id {reason.identifier})"
            return error(409, f"{thing} is being used with campaign id {reason.campaign_id}.")
        case KeyReused():
            return error(409, "The Idempotency-Key has already been used for another request.")
        case TooLarge():
            return error(413, f"The request body is larger than the limit of {reason.limit} bytes.")
        case Busy():
            return error(429, "Too many requests at the moment; try again.", Retry_After="1")
        case _:
            return INTERNAL_ERROR
