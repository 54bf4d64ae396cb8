"""Query parameters, times and continuation tokens."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.contracts.records import PageKey
from perdure.core.status import TERMINAL, RuntimeStatus
from perdure.formats.http_json import InvalidQuery, QueryParameters, read_token, write_token
from perdure.formats.http_json.times import microseconds, read_time, ticks, whole_seconds


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


def query(text: str) -> QueryParameters:
    return QueryParameters(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-03T04:05:06Z", at(2026, 2, 3, 4, 5, 6)),
        ("2026-02-03t04:05:06z", at(2026, 2, 3, 4, 5, 6)),
        ("2026-02-03T04:05:06.1234567Z", at(2026, 2, 3, 4, 5, 6, 123456)),
        ("2026-02-03T04:05:06.000000Z", at(2026, 2, 3, 4, 5, 6)),
        ("2026-02-03T04:05:06", at(2026, 2, 3, 4, 5, 6)),
        ("2026-02-03 04:05", at(2026, 2, 3, 4, 5)),
        ("2026-02-03", at(2026, 2, 3)),
        ("2026-02-03T05:05:06+01:00", at(2026, 2, 3, 4, 5, 6)),
        ("2026-02-03T05:05:06 01:00", at(2026, 2, 3, 4, 5, 6)),
        ("0001-01-01T00:00:00Z", at(1, 1, 1)),
    ],
)
def test_times_are_read_leniently(text: str, expected: datetime):
    assert read_time(text) == expected
    assert read_time(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["yesterday", "03/02/2026", "2026-13-01", "0001-01-01T00:00:00+02:00", "1e9"])
def test_unreadable_times_name_their_parameter(text: str):
    with pytest.raises(InvalidQuery, match="createdTimeFrom"):
        query(f"CREATEDTIMEFROM={text.replace('+', '%2B')}").time("createdTimeFrom")


def test_times_are_written_in_three_forms():
    moment = at(2026, 2, 3, 4, 5, 6, 120000)
    assert whole_seconds(moment) == "2026-02-03T04:05:06Z"
    assert microseconds(moment) == "2026-02-03T04:05:06.120000Z"
    assert ticks(moment) == "2026-02-03T04:05:06.1200000Z"
    assert ticks(at(2026, 2, 3)) == "2026-02-03T00:00:00.0000000Z"


def test_names_have_no_case_and_empty_is_not_given():
    given_ = query("ShowInput=FALSE&reason=&createdtimeto=&REASON=second&code")
    assert given_.flag("showInput", True) is False
    assert given_.text("reason") == "second"
    assert given_.time("createdTimeTo") is None
    assert given_.text("code") is None
    assert QueryParameters(b"").text("reason") is None


@pytest.mark.parametrize(
    ("text", "expected"), [("True", True), ("false", False), ("1", True), ("yes", True), ("", True)]
)
def test_flags_that_are_no_flags_are_not_given(text: str, expected: bool):
    assert query(f"showInput={text}").flag("showInput", True) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", 5.0), ("0.5", 0.5), ("", None), ("soon", None), ("nan", None), ("inf", None), ("-1", None)],
)
def test_seconds(text: str, expected: float | None):
    assert query(f"timeout={text}").seconds("timeout") == expected


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("1000", 1000), ("007", 7), ("", 100)])
def test_page_size(text: str, expected: int):
    assert query(f"top={text}").page_size("top") == expected


@pytest.mark.parametrize("text", ["0", "1001", "-1", "1.5", "many", "99999999999999", "\u0661"])
def test_page_size_out_of_range_names_the_parameter(text: str):
    with pytest.raises(InvalidQuery, match="'top'"):
        query(f"top={text}").page_size("top")


def test_statuses_from_lists_and_repetitions():
    found = query("runtimeStatus=running,%20Pending&runtimestatus=5&runtimeStatus=Strange").statuses("runtimeStatus")
    assert found == {RuntimeStatus.Running, RuntimeStatus.Pending, RuntimeStatus.Terminated}
    assert query("runtimeStatus=,").statuses("runtimeStatus") is None
    assert query("").statuses("runtimeStatus") is None


@pytest.mark.parametrize("text", ["Strange", "Running", "Running,Pending", "99"])
def test_no_usable_status_is_refused(text: str):
    with pytest.raises(InvalidQuery, match="runtimeStatus"):
        query(f"runtimeStatus={text}").statuses("runtimeStatus", TERMINAL)


@pytest.mark.parametrize("raw", [b"reason=%ff", b"reason=\xff", b"&".join(b"a=%d" % n for n in range(300))])
def test_query_strings_that_cannot_be_read(raw: bytes):
    with pytest.raises(InvalidQuery):
        QueryParameters(raw)


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=300),
)
def test_tokens_come_back(created_at: datetime, instance_id: str):
    key = PageKey(created_at, instance_id)
    token = write_token(key)
    assert read_token(token) == key
    assert token.isascii()
    assert all(character.isalnum() or character in "-_" for character in token)


def test_the_last_page_has_an_empty_token():
    assert write_token(None) == ""


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "!!!!",
        "\u00e9",
        "a" * 20_000,
        forged("1|12"),
        forged("2|12|a"),
        forged("1|soon|a"),
        forged("1|+12|a"),
        forged(f"1|{10**40}|a"),
        forged("1|" + "9" * 5000 + "|a"),
        forged("1|12|"),
        forged("1|12|a") + "=",
        base64.urlsafe_b64encode(b"1|12|\xff").decode(),
    ],
)
def test_forged_tokens_are_refused(token: str):
    with pytest.raises(ValueError, match="token"):
        read_token(token)


@given(st.text(max_size=60))
def test_any_text_as_token_is_read_or_refused(token: str):
    try:
        key = read_token(token)
    except ValueError:
        return
    assert write_token(key) == token


def test_microseconds_are_exact_far_from_the_epoch():
    key = PageKey(at(9999, 12, 31, 23, 59, 59) + timedelta(microseconds=999_999), "z")
    assert read_token(write_token(key)) == key
