"""One request, from its bytes to its answer: who asks, what they ask, and whether they have asked it before."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.api import envelope, request
from chalicelib.api.envelope import Answer
from chalicelib.api.request import FilePart, Parameters
from chalicelib.api.services import Services
from chalicelib.api.wording import InvalidFields
from chalicelib.domain.keys import CampaignKey
from chalicelib.errors import KeyReused, NotAuthenticated, NotFound
from chalicelib.storage.accounts import Kind
from chalicelib.storage.receipts import KEPT, AlreadyAnswered, Receipt

logger = logging.getLogger(__name__)

#: characters
_LONGEST_KEY = 255


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came."""

    method: str
    #: as it is routed: `/api/schedules/{id}`
    path: str
    #: by lower-case name
    headers: Mapping[str, str]
    #: each name's values, percent-decoded
    query: Mapping[str, Sequence[str]]
    body: bytes
    #: what stands in the path's place for an id
    identifier: str | None = None


@dataclass(frozen=True)
class RequestContext:
    """A request as its endpoint sees it."""

    account: str
    parameters: Parameters
    now: datetime
    #: the id in the path, as it was written
    path_identifier: str | None
    #: by lower-case name
    headers: Mapping[str, str]
    _idempotency: tuple[str, str] | None

    def identifier(self, kind: str) -> int:
        """The id in the path. Raises NotFound for what can't be one."""
        text = self.path_identifier or ""
        if not (text.isascii() and text.isdigit() and len(text) <= 11):
            raise NotFound(kind, text)
        return int(text)

    @property
    def campaign(self) -> CampaignKey:
        """The campaign that the path names. Raises NotFound."""
        return CampaignKey(self.account, self.identifier(Kind.CAMPAIGN))

    def receipt(self, answer: Answer) -> Receipt | None:
        """What is to be kept of the answer, if the request has an Idempotency-Key."""
        if self._idempotency is None:
            return None
        key, fingerprint = self._idempotency
        return Receipt(self.account, key, fingerprint, answer.status, answer.body, answer.headers, self.now + KEPT)


Endpoint = Callable[[Services, RequestContext], Answer]


def answer(services: Callable[[], Services], http_request: HttpRequest, endpoint: Endpoint) -> Answer:
    """Never raises: whatever happens has an answer, and what is nobody's fault but ours is logged."""
    try:
        return _answer(services(), http_request, endpoint)
    except Exception as reason:
        given = envelope.refusal(reason)
        if given is envelope.INTERNAL_ERROR:
            logger.exception("%s %s failed", http_request.method, http_request.path)
        return given


def _answer(services: Services, http_request: HttpRequest, endpoint: Endpoint) -> Answer:
    account = _account(services, http_request.headers.get("authorization", ""))
    content_type = http_request.headers.get("content-type", "")
    parameters = request.read(http_request.method, http_request.body, http_request.query, content_type)
    now = services.clock.now()
    key = http_request.headers.get("idempotency-key") if http_request.method == "POST" else None
    idempotency = None
    if key is not None:
        if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
            raise InvalidFields({"Idempotency-Key": ["The Idempotency-Key must have 1 to 255 printable characters."]})
        idempotency = (key, _fingerprint(http_request.path, parameters))
        before = _answered_before(services, account, *idempotency, now)
        if before is not None:
            return before
    context = RequestContext(account, parameters, now, http_request.identifier, http_request.headers, idempotency)
    try:
        return endpoint(services, context)
    except AlreadyAnswered:
        assert idempotency is not None  # for the type checker: only a key's receipt is refused
        before = _answered_before(services, account, *idempotency, now)
        return before or envelope.INTERNAL_ERROR


def _account(services: Services, authorization: str) -> str:
    """Whose token this is (RFC 6750 §2.1). Raises NotAuthenticated."""
    scheme, _, token = authorization.partition(" ")
    account: str | None = services.tokens.account_of(token.strip()) if scheme.lower() == "bearer" else None
    if account is None:
        raise NotAuthenticated
    return account


def _answered_before(services: Services, account: str, key: str, fingerprint: str, now: datetime) -> Answer | None:
    receipt = services.receipts.find(account, key, now)
    if receipt is None:
        return None
    if receipt.fingerprint != fingerprint:
        raise KeyReused(key)
    return Answer(receipt.status, receipt.body, headers={**receipt.headers, "Idempotency-Replayed": "true"})


def _fingerprint(path: str, parameters: Parameters) -> str:
    """Tells requests apart by what they say: a form's boundary is another each time it is sent."""

    def digest(value: object) -> str:
        assert isinstance(value, FilePart)  # for the type checker: all else in a request is JSON
        return "file " + hashlib.sha256(value.content).hexdigest()

    said = json.dumps([path, parameters.values], sort_keys=True, default=digest)
    return hashlib.sha256(said.encode()).hexdigest()
