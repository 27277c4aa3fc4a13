"""Standard Webhooks signatures (version 1.0.0 of the specification): how a receiver knows that a request is ours.

The receiver computes the same HMAC over the bytes it got, with the secret it was given, and compares. So what is signed
must be the very bytes that are sent.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

#: What every secret begins with, so that people and scanners know one when they see it.
PREFIX = "whsec_"

#: Bytes of a new secret; the specification wants at least 24 and at most 64.
SECRET_SIZE = 32


def new_secret() -> str:
    """A secret nobody has had: `whsec_` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_SIZE)).decode("ascii")


def signed_headers(secret: str, message_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """The three headers that go with `body`.

    `message_id` stays the same however often the message is sent, `timestamp` is the time of this attempt, aware, sent
    in whole Unix seconds. The id must not hold a full stop, which is what separates the parts that are signed. Raises
    ValueError for such an id and for a secret that isn't `whsec_` and base64.
    """
    if "." in message_id:
        raise ValueError(f"a full stop in message id {message_id!r}")
    seconds = str(int(timestamp.timestamp()))
    signed = b".".join((message_id.encode(), seconds.encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(digest).decode("ascii"),
    }


def _key(secret: str) -> bytes:
    """The bytes of a secret. The secret itself stays out of the error, which may be logged."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a signing secret begins with {PREFIX}")
    # binascii.Error, for what isn't base64, is a ValueError
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if not key:
        raise ValueError("an empty signing secret")
    return key
