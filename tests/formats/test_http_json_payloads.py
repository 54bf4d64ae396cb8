"""Payload texts go into bodies as they are, and come out of requests as they were."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.formats.http_json import InvalidJson, encode, json_text, plain_value, raw_value

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.booleans())
def test_json_passes_unchanged(value: object, ascii_only: bool):
    try:
        text = json.dumps(value, ensure_ascii=ascii_only)
        body = text.encode()
    except UnicodeEncodeError:
        return
    assert json_text(body) == text
    assert encode({"input": raw_value(text)}) == b'{"input":' + body + b"}"


@given(st.text(st.characters(codec="utf-16", categories=None), max_size=20))
def test_lone_surrogates_survive_as_escapes(text: str):
    written = json.dumps(text + "\ud800 \\ud83d \\\\ud800")
    assert json_text(written.encode()) == written
    assert encode(raw_value(written)) == written.encode()
    assert plain_value(written) == json.loads(written)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (None, b"null"),
        ("", b'""'),
        (" \n", b'""'),
        ("null", b"null"),
        ("hello", b'"hello"'),
        ("NaN", b'"NaN"'),
        ("[1,", b'"[1,"'),
        ("1e400", b"1e400"),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("1.10", b"1.10"),
        ('{"a":1,"a":2}', b'{"a":1,"a":2}'),
        (' {"a" : 1} ', b' {"a" : 1} '),
        ('"\\u0000"', b'"\\u0000"'),
        ("Sch\u00f6n", '"Sch\u00f6n"'.encode()),
        ("[" * 5000 + "]" * 5000, b'"' + b"[" * 5000 + b"]" * 5000 + b'"'),
    ],
)
def test_payload_in_a_body(text: str | None, body: bytes):
    assert encode(raw_value(text)) == body


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        (" ", ""),
        ("[1, 2]", [1, 2]),
        ("free text", "free text"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ],
)
def test_payload_as_data(text: str | None, value: object):
    assert plain_value(text) == value


@pytest.mark.parametrize(
    ("body", "offset", "words"),
    [
        (b"", 0, "too early"),
        (b'{"a":1', 6, "too early"),
        (b'{"a":1,}', 7, "trailing comma"),
        (b"nope", 1, "malformed"),
        (b"NaN", 0, "malformed"),
        (b"[1, -Infinity]", 5, "malformed"),
        (b'["\xff"]', 2, "UTF-8"),
        (b'"\xed\xa0\x80"', 1, "UTF-8"),
        (b'"a\x00b"', 2, "malformed"),
        (b'"\\ud800', 7, "too early"),
        (b"1 2", 2, "malformed"),
        (b"[" * 10_000 + b"]" * 10_000, 9_999, "too deeply"),
        (b'["[",' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"]", 5 + 5 * 9_999, "too deeply"),
        (b"7" * 100_000, 0, "4,300 digits"),
        (b'["' + b"7" * 9_000 + b'", -' + b"7" * 4_301 + b"]", 9_006, "4,300 digits"),
        (b'["\\"' + b"7" * 9_000 + b'", ' + b"7" * 4_301 + b"]", 9_007, "4,300 digits"),
    ],
)
def test_bad_json_is_refused_with_its_offset(body: bytes, offset: int, words: str):
    with pytest.raises(InvalidJson, match=words) as refused:
        json_text(body)
    assert refused.value.offset is not None
    assert abs(refused.value.offset - offset) <= 1
    assert f"(at byte {refused.value.offset})" in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"7" * 4_300,
        b'"' + b"7" * 100_000 + b'"',
        b'["\\\\' + b"7" * 5_000 + b'", "' + b"8" * 5_000 + b'"]',
        b"[" * 300 + b"]" * 300,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_only_long_is_taken(body: bytes):
    assert json_text(body) == body.decode("utf-8-sig")


def test_depth_offset_is_not_searched_in_a_huge_text():
    body = b"[" * 300_000
    with pytest.raises(InvalidJson, match="too deeply") as refused:
        json_text(body)
    assert refused.value.offset is None
