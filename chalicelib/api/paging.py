"""Lists, one page at a time.

An answer has as many items as fit into it. If there are more, its `Link` header names the next page (RFC 8288).
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from urllib.parse import urlencode

from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer, as_json
from chalicelib.api.services import Services
from chalicelib.api.validation import Page

#: Bytes of an answer's body. Lambda's limit is 6 MB, in which each quotation mark of a body takes two bytes.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_ANSWER_BYTES = 2_500_000
#: A page ends after this time, because API Gateway waits for 29 s at most.
TIME_LIMIT = timedelta(seconds=10)


def list_answer(
    services: Services, context: RequestContext, requested: Page, items: Iterable[tuple[int, dict[str, object]]]
) -> Answer:
    """The first of the items, each an id and its JSON object. There may be more items than the page asks for."""
    texts: list[str] = []
    size, last = 0, 0
    headers = {}
    for identifier, item in items:
        text = as_json(item)
        size += len(text.encode())
        is_late = services.clock.now() > context.now + TIME_LIMIT
        if texts and (len(texts) == requested.limit or size > MAX_ANSWER_BYTES or is_late):
            query = {"after": last} if requested.limit is None else {"after": last, "limit": requested.limit}
            headers = link_to_next(query)
            break
        texts.append(text)
        last = identifier
    return Answer(200, f"[{', '.join(texts)}]", headers=headers)


def link_to_next(query: Mapping[str, object]) -> dict[str, str]:
    """The header that names the next page: the same path with another query."""
    return {"Link": f'<?{urlencode(query, doseq=True)}>; rel="next"'}


def limit_plus_one(requested: Page) -> int | None:
    """How many items to read: one more than asked for shows whether there are more."""
    return None if requested.limit is None else requested.limit + 1
