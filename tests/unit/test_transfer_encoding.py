"""A part's content is decoded as its Content-Transfer-Encoding says, or refused."""

import base64
import quopri
import time
from contextlib import suppress
from email import policy
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.request import FilePart, read
from chalicelib.api.transfer_encoding import Undecodable, decode
from chalicelib.api.wording import InvalidFields

NUMBERS = "phone_number,reference\r\n(222) 333-4444,März\r\n".encode()


def part(encoding: str, content: bytes, name: str = "nickname", headers: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"\r\nContent-Transfer-Encoding: {encoding}\r\n{headers}'
    return b"--B\r\n" + head.encode() + b"\r\n" + content + b"\r\n--B--\r\n"


def fault(body: bytes) -> str:
    with pytest.raises(InvalidFields) as caught:
        read("POST", body, {})
    ((name, (sentence,)),) = caught.value.faults.items()
    assert name == "body"
    return sentence


@pytest.mark.parametrize("charset", ["utf-8", "us-ascii"])
@pytest.mark.parametrize("text", ["Zoë", "weekdays", "=20 = é", " a\t"])
def test_what_pythons_mail_classes_write_is_read(text: str, charset: str) -> None:
    if charset == "us-ascii" and not text.isascii():
        return
    form = MIMEMultipart("form-data", boundary="B")
    field = MIMEText(text, "plain", charset)
    field.add_header("Content-Disposition", "form-data", name="nickname")
    form.attach(field)
    file = MIMEBase("text", "csv")
    file.set_payload(base64.encodebytes(NUMBERS))
    file.add_header("Content-Transfer-Encoding", "base64")
    file.add_header("Content-Disposition", "form-data", name="phone_numbers", filename="n.csv")
    form.attach(file)
    body = form.as_bytes(policy=policy.HTTP)
    assert read("POST", body, {}).values == {"nickname": text, "phone_numbers": FilePart("n.csv", NUMBERS)}


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "base64", "quoted-printable"])
def test_what_pythons_newer_mail_class_writes_is_read(encoding: str) -> None:
    text = "plain" if encoding == "7bit" else "Zoë = ü"
    field = EmailMessage(policy=policy.SMTP)
    field.set_content(text, cte=encoding)
    body = b'--B\r\nContent-Disposition: form-data; name="nickname"\r\n' + field.as_bytes().rstrip() + b"\r\n--B--"
    assert str(read("POST", body, {}).values["nickname"]).strip() == text


@pytest.mark.parametrize("encoding", ["base64", "BASE64", " Base64 ", "quoted-printable", "Quoted-Printable"])
def test_the_encodings_name_may_have_capitals_and_spaces(encoding: str) -> None:
    content = base64.b64encode("é".encode()) if encoding.strip().lower() == "base64" else b"=C3=a9"
    assert read("POST", part(encoding, content), {}).values == {"nickname": "é"}


@pytest.mark.parametrize("encoding", ["", "7bit", "8BIT", "binary"])
@given(content=st.text().filter(lambda text: "--B" not in text and "\r" not in text))
def test_content_that_is_not_encoded_stays_as_it_is(encoding: str, content: str) -> None:
    assert decode(content.encode(), encoding.lower()) == content.encode()


@given(st.binary(), st.sampled_from([base64.b64encode, base64.encodebytes]))
def test_base64_is_decoded(content: bytes, encode: type) -> None:
    assert decode(encode(content), "base64") == content
    assert decode(encode(content).replace(b"\n", b"\r\n"), "base64") == content


@given(st.binary(), st.booleans())
def test_quoted_printable_is_decoded(content: bytes, quote_tabs: bool) -> None:
    encoded = quopri.encodestring(content, quotetabs=quote_tabs)
    assert decode(encoded, "quoted-printable") == content


@pytest.mark.parametrize(
    ("encoded", "content"),
    [
        (b"a=\r\nb", b"ab"),
        (b"a= \t\r\nb", b"ab"),
        (b"a \t\r\nb ", b"a\r\nb"),
        (b"a=\nb", b"ab"),
        (b"=e9=E9", b"\xe9\xe9"),
        (b"", b""),
    ],
)
def test_soft_line_ends_and_padding_of_quoted_printable_are_removed(encoded: bytes, content: bytes) -> None:
    assert decode(encoded, "quoted-printable") == content


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        *(
            ("base64", broken)
            for broken in (b"Zoe", b"Wm/Dqw=", b"Wm/Dqw===", b"Wm-Dqw==", b"Wm/Dqw==x", b"=", b"\xff\xff")
        ),
        *(
            ("quoted-printable", broken)
            for broken in (b"=", b"a=4", b"=GG", b"a=", b"a==20", b"\xc3\xa9", b"\x00", b"= x")
        ),
    ],
)
def test_what_is_encoded_wrongly_is_refused_with_the_parts_name(encoding: str, content: bytes) -> None:
    assert fault(part(encoding, content)) == (
        f"The body is not valid multipart: the nickname part is not valid {encoding}."
    )


@pytest.mark.parametrize("encoding", ["x-uuencode", "gzip", "utf-8", "base64; x=y", "base64, base64", "7 bit"])
def test_another_encoding_is_refused_by_its_name(encoding: str) -> None:
    assert fault(part(encoding, b"x")) == (
        f'The body is not valid multipart: the nickname part has the unknown Content-Transfer-Encoding "{encoding}"; '
        "known are 7bit, 8bit, binary, base64, quoted-printable."
    )


def test_two_encodings_of_a_part_are_refused() -> None:
    body = part("base64", b"Wm/Dqw==", headers="Content-Transfer-Encoding: 7bit\r\n")
    assert '"7bit, base64"' in fault(body)
    assert read("POST", part("base64", b"Wm/Dqw==", headers="Content-Transfer-Encoding: base64\r\n"), {}).values == {
        "nickname": "Zoë"
    }


def test_each_part_has_an_encoding_of_its_own() -> None:
    body = (
        part("base64", b"Wm/Dqw==")[:-7] + b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nWm/Dqw==\r\n--B--'
    )
    assert read("POST", body, {}).values == {"nickname": "Zoë", "a": "Wm/Dqw=="}


def test_decoded_text_must_be_utf_8() -> None:
    assert fault(part("base64", base64.b64encode(b"Zo\xeb"))) == "The body is not valid UTF-8."
    assert fault(part("quoted-printable", b"Zo=EB")) == "The body is not valid UTF-8."


def test_a_long_name_is_shortened() -> None:
    assert len(fault(part("base64", b"!", name="x" * 10_000))) < 200
    assert len(fault(part("y" * 10_000, b"!"))) < 300


@pytest.mark.parametrize(
    "content", [b" \t" * 2_000_000 + b"x", b"=\r\n" * 1_000_000, b"= " * 2_000_000, b"A" * 4_000_000]
)
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_large_part_costs_little(content: bytes, encoding: str) -> None:
    begun = time.process_time()
    with suppress(Undecodable):
        decode(content, encoding)
    assert time.process_time() - begun < 1
