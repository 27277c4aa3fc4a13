"""What the name of a column says of its cells.

A name that says more than that the column has numbers isn't taken for the number's: `Caller ID Phone` has the caller's,
and a `Phone ID` is none. A column of another name may hold what mustn't be lost, if its name has a word for digits.
"""

import re
import unicodedata
from collections.abc import Sequence

#: the most characters that a known name may have
_LONGEST_NAME = 64
#: The characters of a name that are examined. A survey's columns are named by its questions.
_LONGEST_QUESTION = 1_000
#: The known names of each part of an entry: lower case, letters only, without accents.
_NAMES = {
    "phone_number": re.compile(
        r"numbers?|msisdn|callee|destination|telefonnummer|rufnummer|cellphone|mobilephone|phonenumbers?"
    ),
    "ani": re.compile(r"ani|callerid|calleridnumber|cli|fromnumber"),
    "postd": re.compile(r"postd|postdial|senddigits|dtmf|(?:phone)?ext(?:n|ension)?"),
    "message_reference": re.compile(r"messagereference|messageref|reference|ref"),
}
#: a word in a name that makes it a column of numbers, as in `Business Phone` or `Phone 1 - Value`...
_PHONE = re.compile(r"(?:tele)?phones?|telefono?|tel|mobile|cell")
#: ...if every other word is one of these, which say only whose number it is, or that it is one
_BESIDE_PHONE = re.compile(
    "numbers?|num|nr|no|nummer|numero|value|digits|full|default|primary|main|preferred|e164|home|work|office|business"
    "|company|personal|private?|day|daytime|evening|landline|mobil|movil|customers?|clients?|patients?|contacto?|contacts"
    "|members?|person|recipient|subscriber|student|guest|user|lead|my|the|de"
)
#: words that show that the column only describes a number, as in `Phone Type`
_ABOUT = re.compile("type|label|carrier|provider|country|valid|verified|status|time|timezone|zone|date|notes?|plan")
#: a word for a number, a caller id or digits to send
_DIGITS = re.compile(
    r".*(?:number|nummer|phone|telefon|callerid).*|num|nbr|numero|tel|mobile?|cell|handy|fax|pager|ext(?:n|s|ensions?)?"
    r"|extno|telno|ani|cli|caller|callers|callback|from|dnis|dtmf|digits|postd|postdial|msisdn|callee|destination"
    r"|prefix|countrycode|areacode|dial(?:l?ing)?code"
)
#: the same, if it is a name's last word: `Order No`, `Provider Ext`
_DIGITS_AT_END = re.compile("no|nr|numbers?|nummer|ext|extn|extension|ani|cli")
#: words that make a `code` the beginning of a number
_CODE_OF = re.compile("country|area|city|dial|dial?ling|calling|phone|std|isd")


def part_called(name: str) -> str | None:
    """The part of an entry that a column of this name holds; None if the name isn't known."""
    words = _words(name) if len(name) <= _LONGEST_NAME else ()
    plain = "".join(words)
    part = next((part for part, pattern in _NAMES.items() if pattern.fullmatch(plain)), None)
    if part is None and any(map(_PHONE.fullmatch, words)):
        are_known = all(_PHONE.fullmatch(word) or _BESIDE_PHONE.fullmatch(word) for word in words)
        return "phone_number" if are_known else None
    return part


def means_digits(name: str) -> bool:
    """True if a column of this name, which isn't a known one, may hold a number, a part of one, or digits to send."""
    words = _words(name[:_LONGEST_QUESTION])
    if any(map(_DIGITS_AT_END.fullmatch, words[-1:])) or ("code" in words and any(map(_CODE_OF.fullmatch, words))):
        return True
    return any(map(_DIGITS.fullmatch, words)) and not any(map(_ABOUT.fullmatch, words))


def _words(name: str) -> Sequence[str]:
    """The words of a name, without digits and accents."""
    decomposed = unicodedata.normalize("NFKD", name.replace("'s", "").replace("\u2019s", ""))
    letters = "".join(one for one in decomposed if not unicodedata.combining(one))
    apart = re.sub("(?<=[a-z])(?=[A-Z])", " ", letters)
    return re.findall(r"e164\b|[^\W\d_]+", apart.lower())
