"""Parameters are read by the form of the body, not by its content type. Multipart bodies are those of curl 7.88.1."""

import gzip
import json
import re
import zlib
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.api.request import MAX_BODY_BYTES, MAX_FIELDS, FilePart, Parameters, read
from chalicelib.api.wording import InvalidFields
from chalicelib.errors import TooLarge

#: --form 'days="[\"mon\", \"wed\", \"fri\"]"' --form 'nickname="3wkdays"'
CURL_FORM = (
    b"--------------------------e55b038da1dfc282\r\n"
    b'Content-Disposition: form-data; name="days"\r\n\r\n'
    b'["mon", "wed", "fri"]\r\n'
    b"--------------------------e55b038da1dfc282\r\n"
    b'Content-Disposition: form-data; name="nickname"\r\n\r\n'
    b"3wkdays\r\n"
    b"--------------------------e55b038da1dfc282--\r\n"
)

#: --header 'Content-Type: application/json' --form 'phone_numbers=@"n.csv"'
#: --form 'profiles="[{\"profile\":\"MorningPace\", \"start_time\":\"08:00\", \"end_time\":\"11:00\"}]"'
CURL_FORM_WITH_JSON_HEADER = (
    b"--------------------------a418adfc6ebdc563\r\n"
    b'Content-Disposition: attachment; name="phone_numbers"; filename="n.csv"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
    b"destination\r\n+12223334444\r\n\r\n"
    b"--------------------------a418adfc6ebdc563\r\n"
    b'Content-Disposition: attachment; name="profiles"\r\n\r\n'
    b'[{"profile":"MorningPace", "start_time":"08:00", "end_time":"11:00"}]\r\n'
    b"--------------------------a418adfc6ebdc563--\r\n"
)

#: --form-string 'days="[\"mon\"]"': the quotes that curl's --form removes are kept
CURL_FORM_STRING = (
    b"--------------------------3c2c98191f38531c\r\n"
    b'Content-Disposition: form-data; name="days"\r\n\r\n'
    b'"[\\"mon\\"]"\r\n'
    b"--------------------------3c2c98191f38531c--\r\n"
)


#: a part with the field `a` of the value 1
PART_A = b'Content-Disposition: form-data; name="a"\r\n\r\n1\r\n'


def values(body: bytes, method: str = "POST", **query: list[str]) -> dict[str, object]:
    return dict(read(method, body, query).values)


def faults(body: bytes, content_type: str = "", **query: list[str]) -> dict[str, list[str]]:
    with pytest.raises(InvalidFields) as caught:
        read("POST", body, query, content_type)
    return caught.value.faults


def part(disposition: str, content: bytes = b"x", boundary: bytes = b"B") -> bytes:
    return b"--%b\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (boundary, disposition.encode(), content)


def test_a_form_from_curl_is_read() -> None:
    assert values(CURL_FORM) == {"days": '["mon", "wed", "fri"]', "nickname": "3wkdays"}


def test_a_form_with_a_file_is_read_though_its_content_type_is_json() -> None:
    assert values(CURL_FORM_WITH_JSON_HEADER) == {
        "phone_numbers": FilePart("n.csv", b"destination\r\n+12223334444\r\n"),
        "profiles": '[{"profile":"MorningPace", "start_time":"08:00", "end_time":"11:00"}]',
    }


def test_quotes_around_a_forms_value_are_removed() -> None:
    assert values(CURL_FORM_STRING) == {"days": '["mon"]'}
    assert values(b"nickname=%223wkdays%22", schedule=['"6"']) == {"nickname": "3wkdays", "schedule": "6"}


@pytest.mark.parametrize("text", ['"', '"a" and "b"', '6" pipe', '"a', '""a""'])
def test_quotes_that_do_not_surround_a_value_are_kept(text: str) -> None:
    assert values(b"", nickname=[text]) == {"nickname": text}


def test_quotes_in_json_are_kept() -> None:
    assert values(b'{"nickname": "\\"a\\""}') == {"nickname": '"a"'}


def test_the_values_of_a_json_object_are_kept() -> None:
    body = {"days": ["mon"], "profiles": [{"profile": 5}], "unique": True, "nickname": None, "period": 30}
    assert values(json.dumps(body).encode()) == body
    assert values(b"\xef\xbb\xbf\r\n " + json.dumps(body).encode() + b"\n") == body


def test_an_urlencoded_form_is_read() -> None:
    assert values(b"days=%5B%22mon%22%5D&nickname=zo%C3%AB+%26%3D&result_url=") == {
        "days": '["mon"]',
        "nickname": "zoë &=",
        "result_url": "",
    }


def test_a_query_is_read() -> None:
    assert values(b"", "PATCH", days=['["mon","wed"]'], name=["x"]) == {"days": '["mon","wed"]', "name": "x"}


@pytest.mark.parametrize("body", [b"days[]=mon&days[]=wed", b"days=mon&days=wed", b"days[0]=mon&days[1]=wed"])
def test_brackets_or_repeated_names_make_an_array(body: bytes) -> None:
    assert values(body) == {"days": ["mon", "wed"]}


def test_brackets_make_an_array_of_one() -> None:
    assert values(b"days%5B%5D=mon") == {"days": ["mon"]}
    assert values(b"", "POST", **{"days[]": ["mon"]}) == {"days": ["mon"]}


@pytest.mark.parametrize("body", [b"", b"\r\n", b"--B--\r\n"])
def test_an_empty_body_has_no_parameters(body: bytes) -> None:
    assert read("POST", body, {}) == Parameters()


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_the_body_of_get_delete_and_head_is_not_read(method: str) -> None:
    assert values(b"{broken", method, limit=["5"]) == {"limit": "5"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "patch"])
def test_the_body_of_post_put_and_patch_is_read(method: str) -> None:
    assert values(b'{"a": 1}', method) == {"a": 1}


def test_a_file_is_kept_byte_for_byte() -> None:
    content = bytes(range(256)) + b"\r\n--\r\n--Bx\r\n"
    body = part('form-data; name="phone_numbers"; filename="a;\\"b.csv"', content) + b"--B--"
    assert values(body) == {"phone_numbers": FilePart('a;"b.csv', content)}


def test_a_part_with_an_encoded_file_name_is_a_file() -> None:
    body = part("form-data; name=\"phone_numbers\"; filename*=utf-8''n%C3%BC.csv") + b"--B--"
    assert values(body) == {"phone_numbers": FilePart("", b"x")}


def test_a_file_field_without_a_file_is_left_out() -> None:
    body = part('form-data; name="phone_numbers"; filename=""', b"") + part('form-data; name="a"') + b"--B--"
    assert values(body) == {"a": "x"}


@pytest.mark.parametrize(
    "body",
    [
        CURL_FORM[:-6],
        CURL_FORM[:100],
        CURL_FORM.replace(b"\r\n", b"\n"),
        b"--",
        b"--\r\n",
        b"--" + b"B" * 71 + b"\r\n",
        b"--B\r\nno header\r\n\r\n--B--",
        b"--B\r\n\r\nnameless\r\n--B--",
        part("form-data") + b"--B--",
        part('form-data; name=""') + b"--B--",
    ],
)
def test_broken_multipart_is_one_fault(body: bytes) -> None:
    found = faults(body)
    assert list(found) == ["body"]
    assert found["body"][0].startswith("The body is not valid multipart")


@pytest.mark.parametrize("body", [b'{"a": 1', b"{}x", b'{"a": "\n"}', b"{'a': 1}", b"garbage", b"\x01"])
def test_broken_json_is_one_fault_with_its_position(body: bytes) -> None:
    found = faults(body)
    assert list(found) == ["body"]
    assert found["body"][0].startswith("The body is not valid JSON: ")
    assert "line 1 column" in found["body"][0]


def test_json_that_python_cannot_read_is_one_fault() -> None:
    reason = {"body": ["The body is not valid JSON: nested too deeply or too long."]}
    assert faults(b'{"a":' * 100_000) == faults(b'{"a": ' + b"1" * 5000 + b"}") == reason


@pytest.mark.parametrize("body", [b"[]", b'["a=b"]', b'"a=b"', b"1", b"null", b"true"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    assert faults(body) == {"body": ["The body must be a JSON object."]}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "\xff"}',
        b"a=\xff",
        b"a=%ff",
        part('form-data; name="a"', b"\xff") + b"--B--",
        b'{"a": 1}'.decode().encode("utf-16"),
    ],
)
def test_text_that_is_not_utf8_is_refused(body: bytes) -> None:
    assert faults(body) == {"body": ["The body is not valid UTF-8."]}


def test_a_body_has_at_most_1000_fields() -> None:
    reason = {"body": ["The body must not have more than 1000 fields."]}
    parts = part('form-data; name="a[]"') * MAX_FIELDS
    assert len(str(values(parts + b"--B--")["a"])) > MAX_FIELDS
    assert faults(parts + part('form-data; name="b"') + b"--B--") == reason
    assert faults(b"&".join([b"a=1"] * (MAX_FIELDS + 1))) == reason


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_body_over_the_limit_is_too_large(method: str) -> None:
    with pytest.raises(TooLarge) as caught:
        read(method, b"a" * (MAX_BODY_BYTES + 1), {})
    assert (caught.value.limit, caught.value.size) == (4_500_000, 4_500_001)


def test_a_body_of_exactly_the_limit_is_read() -> None:
    body = b'{"a": "' + b"a" * (MAX_BODY_BYTES - 9) + b'"}'
    assert len(body) == MAX_BODY_BYTES
    assert list(values(body)) == ["a"]


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"phone_numbers=+4532123456", "+4532123456"),
        (b"a=1&phone_numbers=+4532123456", "+4532123456"),
        (b'phone_numbers=["+4532123456"]', '["+4532123456"]'),
        (b"phone_numbers=%5B%22+4532123456%22%5D", '["+4532123456"]'),
        (b"phone_numbers=tel:+4532123456", "tel:+4532123456"),
        (b"phone_numbers=tel%3A+4532123456", "tel:+4532123456"),
        (b"phone_numbers=%204532123456", " 4532123456"),
        (b"phone_numbers=2225550142,+march", "2225550142, march"),
    ],
)
def test_a_plus_sign_before_a_number_in_a_form_is_kept(body: bytes, number: str) -> None:
    assert values(body)["phone_numbers"] == number


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("2225550142,+442071234567", "2225550142,+442071234567"),
        ("2225550142%2C+442071234567", "2225550142,+442071234567"),
        ("2225550142;ani=+442071234567", "2225550142;ani=+442071234567"),
        ("2225550142%3Bani%3D+44", "2225550142;ani=+44"),
        ("2225550142;ani = +44", "2225550142;ani = +44"),
        ('["2225550142, +12 months"]', '["2225550142, +12 months"]'),
        ("%5B%222225550142%2C%20+12%20months%22%5D", '["2225550142, +12 months"]'),
        ('["2225550142,+12+months"]', '["2225550142,+12 months"]'),
        ("2225550142%2C++12", "2225550142, +12"),
        ("+442071234567%0A+442071234568%0D%0A+442071234569", "+442071234567\n+442071234568\r\n+442071234569"),
        ("+442071234567\n+442071234568", "+442071234567\n+442071234568"),
        ("tel:+442071234567,tel:+442071234568;ani=+4", "tel:+442071234567,tel:+442071234568;ani=+4"),
        # as a program writes them that knows what a plus sign means
        ("2225550142%2C+4711", "2225550142, 4711"),
        ("tel%3A2225550142%2C+20240105001", "tel:2225550142, 20240105001"),
        ("2225550142+%3B+ani+%3D+7778889999", "2225550142 ; ani = 7778889999"),
        ("2225550142,%20442071234567", "2225550142, 442071234567"),
        ("2225550142%3Bani%3D%20777", "2225550142;ani= 777"),
        ("%28222%29+555+0142", "(222) 555 0142"),
    ],
)
@pytest.mark.parametrize("name", ["phone_numbers", "phone_numbers[]", "phone_numbers%5B0%5D", "phone%5Fnumbers[0]"])
def test_a_plus_sign_where_a_space_makes_no_sense_is_kept_in_an_upload(name: str, written: str, read_as: str) -> None:
    value = values(f"a=1&{name}={written}&b".encode() + b"=2")["phone_numbers"]
    assert value == read_as if isinstance(value, str) else value == [read_as]


def test_behind_a_comma_it_is_kept_in_an_upload_alone() -> None:
    assert values(b"nickname=a,+5&phone_numbers[0][ani]=+44&phone_numbers[0][phone_number]=+45") == {
        "nickname": "a, 5",
        "phone_numbers": [{"ani": "+44", "phone_number": "+45"}],
    }


lines = st.lists(st.sampled_from(["+442071234567", "tel:+442071234567;ani=+44", "2225550142,+12", "+45;ani = +46, +1"]))


@given(lines, st.sampled_from(["\n", "\r\n", ","]))
def test_pluses_of_a_client_that_encodes_nothing_are_kept(written: list[str], between: str) -> None:
    text = between.join(written)
    assert values(b"phone_numbers=" + text.encode())["phone_numbers"] == text


@given(st.text('+0123456789,;= nitel:\n"%&\u00e9'))
def test_what_is_encoded_as_a_form_is_read_back(text: str) -> None:
    """But for a space that stands where one makes no sense before a digit."""
    text = re.sub('(^|[\r\n="]|tel:|, *|  +) +(?=[0-9])', r"\1", text)
    read_back = values(f"a=1&{urlencode({'phone_numbers': text})}".encode())["phone_numbers"]
    assert read_back == text or (text[:1] == text[-1:] == '"')


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        *[(text, True) for text in (" 4532123456", "tel: 4532123456", '[" 4532123456"]', "2225550142\n 4532123456")],
        *[(text, True) for text in ("2225550142, 442071234567", "2225550142;ani= 44", "2225550142,  12 months")],
        *[(text, False) for text in ("2225550142, 4711", "tel:2225550142, 20240105001", "2225550142 ; ani = 77788899")],
    ],
)
def test_a_query_that_may_have_lost_a_plus_sign_is_refused(text: str, *, lost: bool) -> None:
    if lost:
        assert list(faults(b"", phone_numbers=[text])) == ["phone_numbers"]
    else:
        assert values(b"", phone_numbers=[text]) == {"phone_numbers": text}


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbfx--B\r\n" + PART_A + b"--B--",
        b"x--B\r\n" + PART_A + b"--B\r\n" + PART_A + b"--B--\r\n",
        b"--B\n" + PART_A.replace(b"\r\n", b"\n") + b"--B\r\n" + PART_A + b"--B--",
        b"--B\n" + PART_A.replace(b"\r\n", b"\n") + b"--B--",
        b'{"a":"1"}\n--B--',
        b"a=1&x\n--B--",
        b"--B\r\n" + PART_A + b"--B--\r\n--B\r\n" + PART_A + b"--B--\r\n",
    ],
)
def test_a_multipart_body_with_anything_outside_its_parts_is_refused(body: bytes) -> None:
    assert list(faults(body, "multipart/form-data; boundary=B")) == ["body"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (gzip.compress(b'{"a":"1"}', mtime=0), "The body is compressed: send it as it is."),
        (zlib.compress(b"a=1"), "The body is compressed: send it as it is."),
        (b"<?xml version='1.0'?><a/>", "The body must be a JSON object or a form; it begins with <, as XML does."),
        (b"\r\n<a b=1/>", "The body must be a JSON object or a form; it begins with <, as XML does."),
        (
            b"--B\n" + PART_A.replace(b"\r\n", b"\n") + b"--B--\n",
            "The body is not valid multipart: its lines must end with CR LF.",
        ),
    ],
)
def test_a_body_in_another_format_is_refused_by_its_name(body: bytes, sentence: str) -> None:
    assert faults(body, "multipart/form-data; boundary=B") == {"body": [sentence]}


def test_a_name_in_query_and_body_needs_the_same_value() -> None:
    assert values(b"a=1&b=2", a=["1"]) == {"a": "1", "b": "2"}
    assert values(b'{"a":1}', a=["1"]) == {"a": 1}
    assert read("POST", b'{"days":["mon"]}', {"days[]": ["mon"]}).values == {"days": ["mon"]}
    for body in (b"a=2", b'{"a":2}', b'{"a":null}', b"a=1&a=1"):
        with pytest.raises(InvalidFields) as caught:
            values(body, a=["1"])
        assert caught.value.faults == {"a": ["The a field has one value in the query and another in the body."]}


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary*=a; boundary*0=b",
        "multipart/form-data; boundary*" + "1" * 5000 + "*=x",
        "multipart/form-data; boundary*=idna''%ff",
        "multipart/form-data; boundary*=a\0b''x",
        'multipart/form-data; boundary="',
    ],
)
def test_a_malformed_content_type_names_no_boundary(content_type: str) -> None:
    body = b"--B\r\n" + PART_A + b"--B--"
    assert read("POST", body, {}, content_type).values == {"a": "1"}
    with suppress(InvalidFields):  # no other exception
        read("POST", f"Content-Type: {content_type}\r\n\r\n--B".encode(), {})


def test_an_object_with_a_name_twice_is_refused() -> None:
    assert faults(b'{"days": ["mon"], "days": ["sun"]}') == {
        "body": ["The body has an object with the same name twice."]
    }


tokens = [b"--B", b"--", b"\r\n", b"Content-Disposition: ", b'form-data; name="a"', b'; filename="', b";", b"=", b'"']
pieces = st.sampled_from([*tokens, b"*", b"\\", b"{", b"[", b":", b"&", b"%", b"\xff", b"\x00", b"a", b" ", b"\n"])


@given(st.binary() | st.lists(pieces).map(b"".join) | st.lists(pieces).map(lambda some: b"--B\r\n" + b"".join(some)))
@example(b"--B\r\nContent-Disposition: form-data; name=\xff\r\n\r\n\r\n--B--")
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        read("POST", body, {})
    except InvalidFields as refused:
        ((field, (sentence,)),) = refused.faults.items()
        # The fault is in the body as a whole, or in the brackets of a name.
        assert field == "body" or sentence.startswith(f"The {field} field has brackets")


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: not name.endswith("[]")), st.text()))
def test_json_is_read_back_as_it_was_written(body: dict[str, str]) -> None:
    assert values(json.dumps(body).encode()) == body
