"""Answers: the reference's envelope, and the status and the sentence of every error."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.api.wording import InvalidFields, named
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
#: Characters of the faults in one answer. Lambda answers 6 MB at most.
MAX_FAULTS = 200_000


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    body: str
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def plain(value: object) -> Answer:
    """A list or an object, without an envelope."""
    return Answer(200, as_json(value))


def as_json(value: object) -> str:
    """JSON that can be encoded, whatever a request had. Half of a surrogate pair is written as an escape."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def success(response: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    answer = plain({"status": "success"} if response is None else {"status": "success", "response": response})
    return replace(answer, headers=headers or {})


def error(status: int, sentence: str, **headers: str) -> Answer:
    body = as_json({"status": "error", "error": sentence})
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


def _faults_answer(faults: Mapping[str, Sequence[str]]) -> Answer:
    """All faults, or the first that fit into MAX_FAULTS characters."""
    listed: dict[str, Sequence[str]] = {}
    size = 0
    for name, sentences in faults.items():
        size += len(name) + sum(map(len, sentences))
        if size > MAX_FAULTS:
            listed["body"] = [f"The request has faults in {len(faults)} fields; the first {len(listed)} are listed."]
            break
        listed[name] = sentences
    return Answer(422, as_json(listed))


def refusal(reason: Exception) -> Answer:
    """The answer to an error that refuses the request; INTERNAL_ERROR for any other exception."""
    faults = _faults(reason)
    if faults is not None:
        return _faults_answer(faults)
    match reason:
        case NotAuthenticated():
            return error(401, "Unauthenticated.", WWW_Authenticate="Bearer")
        case NotFound():
            return error(404, f"{reason.kind.capitalize()} {named(reason.identifier)} does not exist.")
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
