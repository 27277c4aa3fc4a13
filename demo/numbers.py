"""The demo's numbers: a file as customers have it, and the numbers as callpacer has to call them."""

from demo.record import Number

#: how many different numbers there are
MAX_NUMBERS = 10_000

_HEADING = "phone_number,reference"


def numbers(count: int) -> list[Number]:
    """The numbers of `numbers_file(count)`, in its order."""
    return [_number(index) for index in range(count)]


def numbers_file(count: int) -> bytes:
    """Numbers in several forms, with references, below a heading and a blank line. Lines end in CRLF."""
    return "".join(f"{line}\r\n" for line in (_HEADING, "", *map(_line, range(count)))).encode()


def _number(index: int) -> Number:
    ani = ";ani=7778889999" if index % 5 < 2 else ""
    return Number(f"tel:+1222333{index:04d}{ani}", f"Doe, Jane {index:04d}" if index % 5 == 4 else f"demo-{index:04d}")


def _line(index: int) -> str:
    """One of five forms in turn."""
    area, exchange, line, reference = "222", "333", f"{index:04d}", _number(index).reference
    return (
        f"tel:+1{area}{exchange}{line};ani=7778889999,{reference}",
        f'"tel:+1{area}{exchange}{line} ; ani=7778889999","{reference}"',
        f"{area}{exchange}{line}, {reference}",
        f"+1 {area} {exchange} {line},{reference}",
        f'"({area}) {exchange}-{line}","{reference}"',
    )[index % 5]
