"""The signatures of callpacer's requests: https://www.standardwebhooks.com."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

#: seconds by which the time of a signature may differ from now
_TOLERANCE = 300


def sign(secret: str, identifier: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that sign a body. `timestamp` is in Unix seconds."""
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": _signature(secret, f"{identifier}.{timestamp}.".encode() + body),
    }


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """True if callpacer has sent this. `headers` have lower-case names; `now` is in Unix seconds."""
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > _TOLERANCE:
        return False
    expected = _signature(secret, f"{identifier}.{timestamp}.".encode() + body).encode()
    return any(hmac.compare_digest(expected, one.encode()) for one in headers.get("webhook-signature", "").split())


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
