"""Whose request it is: by its bearer token, or by the signature of a call's status_url."""

from collections.abc import Mapping, Sequence

from chalicelib.api.services import Services
from chalicelib.domain.keys import CallKey
from chalicelib.errors import NotAuthenticated
from chalicelib.gateway.signing import is_event_signature

#: The route of a call's events. A provider's callback has a signature, and maybe an Authorization that isn't ours.
EVENTS_PATH = "/api/calls/{id}/events"
#: The names in the query of a status_url. They say whose call it is, and are no part of an event.
STATUS_URL_NAMES = ("account", "attempt", "signature")
#: Characters of an account's name, which `infra.operator.tokens` allows. DynamoDB refuses an empty key.
_LONGEST_ACCOUNT = 64
#: Digits of an attempt: max_retries is 10 at most.
_MAX_ATTEMPT_DIGITS = 3


def by_token(services: Services, authorization: str) -> str:
    """The account of the bearer token (RFC 6750 §2.1). Raises NotAuthenticated."""
    scheme, _, token = authorization.partition(" ")
    account: str | None = services.tokens.account_of(token.strip()) if scheme.lower() == "bearer" else None
    if account is None:
        raise NotAuthenticated
    return account


def by_signature(services: Services, call_id: str, query: Mapping[str, Sequence[str]]) -> str:
    """The account whose secret has signed this call's status_url. Raises NotAuthenticated."""
    account, signature = _only(query, "account"), _only(query, "signature")
    if not 0 < len(account) <= _LONGEST_ACCOUNT:
        raise NotAuthenticated
    key, attempt = CallKey.of_id(account, call_id), attempt_of(query)
    secret = None if key is None or attempt is None else services.accounts.secret(account)
    if secret is None or key is None or attempt is None or not is_event_signature(signature, secret, key, attempt):
        raise NotAuthenticated
    return account


def attempt_of(query: Mapping[str, Sequence[str]]) -> int | None:
    """The attempt that a status_url is for; None if the query names none."""
    text = _only(query, "attempt")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_ATTEMPT_DIGITS
    return int(text) if is_number else None


def _only(query: Mapping[str, Sequence[str]], name: str) -> str:
    """The value of this name; empty if there is none, or more than one."""
    values = query.get(name, ())
    return values[0] if len(values) == 1 else ""
