"""W3C trace contexts as text, and span ids that follow from what a span is about."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.telemetry.trace_contexts import SpanPlace, activity_span, call_span, orchestration_span, read_place

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@given(
    st.builds(
        SpanPlace,
        st.integers(1, 2**128 - 1),
        st.integers(1, 2**64 - 1),
        st.integers(0, 255),
        st.sampled_from(["", "vendor=1", "a=b,c=d"]),
    )
)
def test_a_place_is_read_as_it_was_written(place: SpanPlace):
    assert read_place(place.text()) == place


def test_the_text_is_the_header():
    assert read_place(f"00-{TRACE}-{SPAN}-01") == SpanPlace(int(TRACE, 16), int(SPAN, 16), 1)
    assert read_place(f"cc-{TRACE.upper()}-{SPAN}-00 x=y") == SpanPlace(int(TRACE, 16), int(SPAN, 16), 0, "x=y")


@pytest.mark.parametrize(
    "text",
    [None, "", " ", "x", f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
     f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-01-more"],
)  # fmt: skip
def test_what_is_no_trace_context(text: str | None):
    assert read_place(text) is None


def test_span_ids_differ_by_what_they_are_about_and_stay():
    at = datetime(2026, 2, 3, tzinfo=UTC)
    ids = [
        orchestration_span("a", at), orchestration_span("b", at), activity_span("e", 1), activity_span("e", 2),
        call_span("e", 1), call_span("f", 1),
    ]  # fmt: skip
    assert len(set(ids)) == len(ids)
    assert orchestration_span("a", at) == ids[0]
