"""The demo's numbers: a file such as customers have it, with each number's calls as they have to come of it."""

from demo.judge import Number

#: how many different ones there are
MOST = 10_000

_HEADING = "phone_number,reference"


def numbers(count: int) -> list[Number]:
    """The numbers of `file(count)`, in its order."""
    return [_number(place) for place in range(count)]


def file(count: int) -> bytes:
    """Numbers in all forms that people write them in, with references, a heading and a blank line; CRLF at the ends."""
    return "".join(f"{line}\r\n" for line in (_HEADING, "", *map(_line, range(count)))).encode()


def _number(place: int) -> Number:
    ani = ";ani=7778889999" if place % 5 < 2 else ""
    return Number(f"tel:+1222333{place:04d}{ani}", f"Doe, Jane {place:04d}" if place % 5 == 4 else f"demo-{place:04d}")


def _line(place: int) -> str:
    """One of five forms in turn."""
    area, exchange, line, reference = "222", "333", f"{place:04d}", _number(place).reference
    return (
        f"tel:+1{area}{exchange}{line};ani=7778889999,{reference}",
        f'"tel:+1{area}{exchange}{line} ; ani=7778889999","{reference}"',
        f"{area}{exchange}{line}, {reference}",
        f"+1 {area} {exchange} {line},{reference}",
        f'"({area}) {exchange}-{line}","{reference}"',
    )[place % 5]
