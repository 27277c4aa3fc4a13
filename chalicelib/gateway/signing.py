"""Standard Webhooks signatures (version 1.0.0 of the specification). They prove that a request comes from callpacer.

The receiver computes the same HMAC with its secret over the bytes that it received, and compares. So exactly the bytes
that are sent must be signed.
"""

import base64
import hmac
import secrets
from datetime import datetime
from functools import lru_cache

from chalicelib.domain.keys import CallKey

#: Every secret begins with it, so that people and scanners recognise one.
PREFIX = "whsec_"

#: Bytes of a new secret. The specification requires 24 to 64.
SECRET_SIZE = 32


def new_secret() -> str:
    """A random secret: `whsec_` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_SIZE)).decode("ascii")


def signed_headers(secret: str, message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """The three headers that sign `body`.

    `message_id` is the same each time the message is sent. `timestamp` is the time of this attempt: aware, and sent in
    whole Unix seconds. The id must have no full stop, because full stops separate the signed parts. Raises ValueError
    for such an id, and for a secret that isn't `whsec_` and base64.
    """
    if "." in message_id:
        raise ValueError(f"a full stop in message id {message_id!r}")
    seconds = str(int(timestamp.timestamp()))
    signed = b".".join((message_id.encode(), seconds.encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(_mac(secret, signed).digest()).decode("ascii"),
    }


def event_signature(secret: str, key: CallKey, attempt: int) -> str:
    """What lets whoever has a call's `status_url` post events of this attempt, and of no other.

    A provider's callback can carry neither a bearer token nor a Standard Webhooks signature. The first part keeps this
    signature from being one of a webhook. Raises ValueError as `signed_headers`.
    """
    signed = f"call event\n{key.account}\n{key.call_id}\n{attempt}".encode()
    return _mac(secret, signed).hexdigest()


def is_event_signature(signature: str, secret: str, key: CallKey, attempt: int) -> bool:
    """True if the signature is right. The comparison takes the same time for every wrong one."""
    return hmac.compare_digest(signature.encode(), event_signature(secret, key, attempt).encode())


def _mac(secret: str, signed: bytes) -> hmac.HMAC:
    mac = _keyed(secret).copy()
    mac.update(signed)
    return mac


@lru_cache(maxsize=64)
def _keyed(secret: str) -> hmac.HMAC:
    """An HMAC with its key, which serves all messages that are signed with this secret.

    Errors don't show the secret, because they may be logged.
    """
    if not secret.startswith(PREFIX):
        raise ValueError(f"a signing secret begins with {PREFIX}")
    # If it isn't base64, this raises binascii.Error, which is a ValueError.
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if not key:
        raise ValueError("an empty signing secret")
    return hmac.new(key, digestmod="sha256")
