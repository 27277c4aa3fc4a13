"""Signatures by Standard Webhooks."""

import base64
import shutil
import subprocess
from datetime import UTC, datetime, timedelta, timezone

import pytest

from chalicelib.gateway.signing import new_secret, signed_headers

#: The example that the Standard Webhooks libraries test themselves against.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT = datetime.fromtimestamp(1_614_265_330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_has_its_published_signature() -> None:
    assert signed_headers(SECRET, ID, SENT, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl isn't installed")
def test_openssl_computes_the_same_signature_of_a_form() -> None:
    secret, body = new_secret(), b"phone_number=tel%3A%2B12223334444&message_reference=%C3%BC"
    headers = signed_headers(secret, "4294967297-1", SENT, body)
    key = base64.b64decode(secret.removeprefix("whsec_")).hex()
    openssl = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"],  # noqa: S607
        input=b"4294967297-1.1614265330." + body,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert headers["webhook-signature"] == "v1," + base64.b64encode(openssl.stdout).decode()


def test_the_signature_depends_on_id_time_body_and_secret() -> None:
    others = [
        signed_headers(SECRET, "msg_other", SENT, BODY),
        signed_headers(SECRET, ID, SENT + timedelta(seconds=1), BODY),
        signed_headers(SECRET, ID, SENT, BODY + b" "),
        signed_headers(new_secret(), ID, SENT, BODY),
    ]
    assert len({SIGNATURE, *(headers["webhook-signature"] for headers in others)}) == 5


def test_the_timestamp_is_whole_unix_seconds_in_any_zone() -> None:
    eastern = (SENT + timedelta(milliseconds=999)).astimezone(timezone(-timedelta(hours=5)))
    assert signed_headers(SECRET, ID, eastern, BODY)["webhook-signature"] == SIGNATURE


def test_a_new_secret_is_whsec_and_32_random_bytes_in_base64() -> None:
    secret, another = new_secret(), new_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != another


def test_an_id_with_a_full_stop_is_refused() -> None:
    """It could be read as another id and time."""
    with pytest.raises(ValueError, match="full stop"):
        signed_headers(SECRET, "msg.1", SENT, BODY)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8G?", "whsec_MfKQ9r8", "whsec_\xfc"]
)
def test_an_invalid_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match=r"secret|base64|padding|ASCII") as refused:
        signed_headers(secret, ID, SENT, BODY)
    assert "MfKQ" not in str(refused.value)
