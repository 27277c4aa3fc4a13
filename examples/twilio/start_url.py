"""A start_url that has Twilio make each call. Twilio then tells callpacer itself how the call goes.

    python examples/twilio/start_url.py

README.md beside this file lists the settings, which are environment variables.
"""

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, urlencode
from urllib.request import Request, urlopen

#: the events that Twilio posts to status_url; `completed` also brings outcomes such as busy
EVENTS = ("initiated", "ringing", "answered", "completed")
#: refusals of Twilio after which a later call may succeed: wrong credentials, too many requests, no service
LATER = (401, 429, 503)
#: seconds that Twilio's answer may take, and seconds by which the time of a signature may differ from now
PATIENCE, TOLERANCE = 10, 300


def is_signed(secret: str, headers: Message, body: bytes, now: float) -> bool:
    """True if callpacer has sent this: https://www.standardwebhooks.com. `now` is in Unix seconds."""
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = b"v1," + base64.b64encode(digest)
    return any(hmac.compare_digest(expected, one.encode()) for one in headers.get("webhook-signature", "").split())


def create_call(settings: Mapping[str, str], form: Mapping[str, str]) -> int:
    """Have Twilio call the number of callpacer's form. The answer's status tells callpacer what became of it."""
    number, *parameters = form["phone_number"].removeprefix("tel:").split(";")
    digits = [parameter.removeprefix("postd=") for parameter in parameters if parameter.startswith("postd=")]
    call = [("To", number), ("From", form["ani"] or settings["TWILIO_FROM"]), ("Url", settings["TWILIO_URL"])]
    call += [("StatusCallback", form["status_url"]), *(("StatusCallbackEvent", event) for event in EVENTS)]
    call += [("SendDigits", one) for one in digits]
    if settings.get("TWILIO_MACHINE_DETECTION"):
        call.append(("MachineDetection", settings["TWILIO_MACHINE_DETECTION"]))
    account, base = settings["TWILIO_ACCOUNT_SID"], settings.get("TWILIO_API", "https://api.twilio.com")
    credentials = base64.b64encode(f"{account}:{settings['TWILIO_AUTH_TOKEN']}".encode()).decode()
    request = Request(  # noqa: S310 # the address is the operator's own setting
        f"{base}/2010-04-01/Accounts/{account}/Calls.json",
        urlencode(call).encode(),
        {"Authorization": f"Basic {credentials}"},
    )
    try:
        urlopen(request, timeout=PATIENCE).close()  # noqa: S310 # likewise
    except HTTPError as refusal:
        refusal.close()
        if refusal.code in LATER:
            return 503
        # After another 5xx there may be a call.
        return refusal.code if refusal.code < 500 else 202
    except URLError:
        return 503  # Twilio has not got the whole request, so there is no call
    except (OSError, HTTPException):
        pass  # No answer: there may be a call. If there is none, no event comes, and callpacer calls it uncertain.
    return 202


class StartUrl(BaseHTTPRequestHandler):
    server: "Server"
    #: seconds that a client may take to send its request
    timeout = 10

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        if not is_signed(self.server.settings["CALLPACER_SECRET"], self.headers, body, time.time()):
            status = 401
        elif not form.keys() >= {"phone_number", "ani", "status_url"}:
            status = 422  # without status_url nobody would hear how the call ends
        else:
            status = create_call(self.server.settings, form)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    #: how many dials may wait to be accepted
    request_queue_size = 128

    def __init__(self, settings: Mapping[str, str], port: int) -> None:
        """`port` is one of 127.0.0.1, 0 for any free one: a web server in front of it has the public address."""
        super().__init__(("127.0.0.1", port), StartUrl)
        self.settings = settings


if __name__ == "__main__":
    with Server(os.environ, int(os.environ.get("PORT", "9000"))) as server:
        print(f"start_url: http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
