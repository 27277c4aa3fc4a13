"""Lists, a part at a time.

An answer has as many things as fit into it. If there are more, its `Link` header leads to them (RFC 8288).
"""

import json
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlencode

from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.api.validation import Page

#: Bytes of one answer's body. Lambda takes 6 MB, in which each quotation mark of a body has two.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_ANSWER_BYTES = 2_500_000
#: Nothing new is looked up after this time: API Gateway waits for 29 s.
PATIENCE = timedelta(seconds=10)


def listed(
    services: Services, context: RequestContext, page: Page, things: Iterable[tuple[int, dict[str, object]]]
) -> Answer:
    """The first of these, each an id and what is shown of it. `things` may be more than the page asks for."""
    shown: list[str] = []
    size, last = 0, 0
    headers = {}
    for identifier, thing in things:
        text = json.dumps(thing, ensure_ascii=False)
        size += len(text.encode())
        is_late = services.clock.now() > context.now + PATIENCE
        if shown and (len(shown) == page.limit or size > MAX_ANSWER_BYTES or is_late):
            query = {"after": last} if page.limit is None else {"after": last, "limit": page.limit}
            headers = {"Link": f'<?{urlencode(query)}>; rel="next"'}
            break
        shown.append(text)
        last = identifier
    return Answer(200, f"[{', '.join(shown)}]", headers=headers)


def one_more(page: Page) -> int | None:
    """How many things tell whether there are more than the page asks for."""
    return None if page.limit is None else page.limit + 1
