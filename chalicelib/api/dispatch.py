"""One request, from its bytes to its answer: authenticate it, read it, replay it or carry it out."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.api import authentication, envelope, request
from chalicelib.api.authentication import EVENTS_PATH, STATUS_URL_NAMES
from chalicelib.api.envelope import Answer
from chalicelib.api.request import FilePart, Parameters
from chalicelib.api.services import Services
from chalicelib.api.values import MAX_DIGITS
from chalicelib.api.wording import InvalidFields
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.errors import KeyReused, NotFound
from chalicelib.storage.accounts import Kind
from chalicelib.storage.receipts import KEPT, AlreadyAnswered, Receipt

logger = logging.getLogger(__name__)

#: Characters of an Idempotency-Key.
_LONGEST_KEY = 255


@dataclass(frozen=True)
class HttpRequest:
    """A request as the web server received it."""

    method: str
    #: the route: `/api/schedules/{id}`
    path: str
    #: by lower-case name
    headers: Mapping[str, str]
    #: each name's values, percent-decoded
    query: Mapping[str, Sequence[str]]
    body: bytes
    #: what the path has in the place of `{id}`
    identifier: str | None = None


@dataclass(frozen=True)
class RequestContext:
    """An authenticated request, as its endpoint gets it."""

    account: str
    parameters: Parameters
    now: datetime
    #: the id in the path, not yet checked
    path_identifier: str | None
    #: by lower-case name
    headers: Mapping[str, str]
    #: of the URL alone: each name's values
    query: Mapping[str, Sequence[str]]
    #: the Idempotency-Key and the fingerprint of the request, if it has a key
    _idempotency: tuple[str, str] | None

    def identifier(self, kind: str) -> int:
        """The id in the path. Raises NotFound if it can't be an id."""
        text = self.path_identifier or ""
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
            raise NotFound(kind, text)
        return int(text)

    @property
    def campaign(self) -> CampaignKey:
        """The campaign that the path names. Raises NotFound."""
        return CampaignKey(self.account, self.identifier(Kind.CAMPAIGN))

    @property
    def call(self) -> CallKey:
        """The call that the path names. Raises NotFound."""
        key = CallKey.of_id(self.account, self.path_identifier or "")
        if key is None:
            raise NotFound("call", self.path_identifier)
        return key

    def receipt(self, answer: Answer) -> Receipt | None:
        """What is kept of the answer. None if the request has no Idempotency-Key."""
        if self._idempotency is None:
            return None
        key, fingerprint = self._idempotency
        return Receipt(self.account, key, fingerprint, answer.status, answer.body, answer.headers, self.now + KEPT)


Endpoint = Callable[[Services, RequestContext], Answer]


def answer(services: Callable[[], Services], http_request: HttpRequest, endpoint: Endpoint) -> Answer:
    """Never raises. An error that isn't the client's is logged and answered with 500."""
    try:
        return _answer(services(), http_request, endpoint)
    except Exception as error:
        refusal = envelope.refusal(error)
        if refusal is envelope.INTERNAL_ERROR:
            logger.exception("%s %s failed", http_request.method, http_request.path)
        return refusal


def _answer(services: Services, http_request: HttpRequest, endpoint: Endpoint) -> Answer:
    account = _authenticate(services, http_request)
    content_type = http_request.headers.get("content-type", "")
    query = http_request.query
    if http_request.path == EVENTS_PATH:
        query = {name: texts for name, texts in query.items() if name not in STATUS_URL_NAMES}
    parameters = request.read(http_request.method, http_request.body, query, content_type)
    now = services.clock.now()
    key = http_request.headers.get("idempotency-key") if http_request.method == "POST" else None
    idempotency = None
    if key is not None:
        if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
            raise InvalidFields({"Idempotency-Key": ["The Idempotency-Key must have 1 to 255 printable characters."]})
        idempotency = (key, _fingerprint(http_request.path, parameters))
        replay = _replay(services, account, *idempotency, now)
        if replay is not None:
            return replay
    context = RequestContext(
        account,
        parameters,
        now,
        http_request.identifier,
        http_request.headers,
        http_request.query,
        idempotency,
    )
    try:
        return endpoint(services, context)
    except AlreadyAnswered:
        # A request with the same key was carried out at the same moment.
        assert idempotency is not None  # for the type checker: without a key there is no receipt
        return _replay(services, account, *idempotency, now) or envelope.INTERNAL_ERROR


def _authenticate(services: Services, http_request: HttpRequest) -> str:
    """The account. Raises NotAuthenticated.

    A status_url with a signature is judged by that alone: providers have an Authorization of their own.
    """
    if http_request.path == EVENTS_PATH and "signature" in http_request.query:
        return authentication.by_signature(services, http_request.identifier or "", http_request.query)
    return authentication.by_token(services, http_request.headers.get("authorization", ""))


def _replay(services: Services, account: str, key: str, fingerprint: str, now: datetime) -> Answer | None:
    """The answer that this key was given before, if any. Raises KeyReused if it came with another request."""
    receipt = services.receipts.find(account, key, now)
    if receipt is None:
        return None
    if receipt.fingerprint != fingerprint:
        raise KeyReused(key)
    return Answer(receipt.status, receipt.body, headers={**receipt.headers, "Idempotency-Replayed": "true"})


def _fingerprint(path: str, parameters: Parameters) -> str:
    """A digest of the path and the parameters. The body's bytes won't do: a form has a new boundary each time."""

    def digest(value: object) -> str:
        assert isinstance(value, FilePart)  # for the type checker: all other values are JSON
        return "file " + hashlib.sha256(value.content).hexdigest()

    canonical = json.dumps([path, parameters.values], sort_keys=True, default=digest)
    return hashlib.sha256(canonical.encode()).hexdigest()
