"""What a telephone provider posts to the status_url of a call."""

from urllib.parse import parse_qs, urlencode, urlsplit

from chalicelib.api import events
from chalicelib.api.authentication import EVENTS_PATH
from chalicelib.api.dispatch import HttpRequest, answer
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services


def post_event(services: Services, status_url: str, **fields: str) -> Answer:
    """Post a form to the URL, without a token."""
    url = urlsplit(status_url)
    call_id, events_ = url.path.split("/")[-2:]
    assert events_ == "events"
    body = urlencode(fields).encode()
    request = HttpRequest("POST", EVENTS_PATH, {}, parse_qs(url.query), body, call_id)
    return answer(lambda: services, request, events.receive)
