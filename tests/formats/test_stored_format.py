"""Stored text gives back what was written: today's values, unknown fields, and every format ever released."""

import json
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.failures import FailureDetails
from perdure.formats import stored
from support.stored_samples import EVENT_FILES, EVENTS, MESSAGE_FILES, MESSAGES
from support.struct_strategies import TEXT, structs, values

GOLDEN = Path(__file__).parent / "golden"
EVENT_TYPES: tuple[type[msgspec.Struct], ...] = typing.get_args(ev.HistoryEvent)
MESSAGE_TYPES: tuple[type[msgspec.Struct], ...] = typing.get_args(ms.AnyMessage)


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_every_event_comes_back(kind: type[msgspec.Struct]) -> None:
    @given(st.lists(structs(kind), max_size=4))
    def comes_back(events: list[Any]) -> None:
        assert stored.read_events(stored.write_events(events)) == events

    comes_back()


@pytest.mark.parametrize("kind", MESSAGE_TYPES, ids=lambda kind: kind.__name__)
def test_every_message_comes_back(kind: type[msgspec.Struct]) -> None:
    @given(structs(kind))
    def comes_back(message: Any) -> None:
        assert stored.read_message(stored.write_message(message)) == message

    comes_back()


@given(st.lists(st.one_of(*map(structs, EVENT_TYPES)), max_size=12))
def test_a_mixed_history_comes_back(events: list[ev.HistoryEvent]) -> None:
    text = stored.write_events(events)
    assert stored.read_events(text) == stored.read_events(text.decode()) == events


@given(structs(FailureDetails), structs(ev.ParentLink), st.dictionaries(TEXT, TEXT), values(tuple[str, ...]))
def test_small_values_come_back(
    failure: FailureDetails, parent: ev.ParentLink, tags: dict[str, str], names: tuple[str, ...]
) -> None:
    assert stored.read_failure(stored.write_failure(failure)) == failure
    assert stored.read_parent(stored.write_parent(parent)) == parent
    assert stored.read_tags(stored.write_tags(tags)) == tags
    assert stored.read_names(stored.write_names(names)) == names


def test_format_1_stays_readable() -> None:
    """The files were written by the first version that knew their kinds; they never change."""
    for file, events in EVENT_FILES.items():
        assert stored.read_events((GOLDEN / file).read_bytes(), 1) == events
    for file, messages in MESSAGE_FILES.items():
        for text, message in zip(json.loads((GOLDEN / file).read_text("utf-8")), messages, strict=True):
            assert stored.read_message(json.dumps(text), 1) == message


def test_the_golden_files_know_every_type() -> None:
    assert {type(event) for event in EVENTS} == set(EVENT_TYPES)
    assert {type(message) for message in MESSAGES} == set(MESSAGE_TYPES)


def test_todays_text_is_that_of_its_format() -> None:
    """Whoever changes what is written makes a new format and a new golden file."""
    assert stored.STORED_FORMAT == 1
    for file, events in EVENT_FILES.items():
        assert json.loads(stored.write_events(events)) == json.loads((GOLDEN / file).read_bytes())
    for file, messages in MESSAGE_FILES.items():
        written = [json.loads(stored.write_message(message)) for message in messages]
        assert written == json.loads((GOLDEN / file).read_bytes())


def test_fields_of_a_later_version_are_ignored() -> None:
    text = '[{"type":"TaskScheduled","task_id":1,"name":"n","colour":"red","nested":{"a":[1]}}]'
    assert stored.read_events(text) == [ev.TaskScheduled(1, "n")]
    assert stored.read_message('{"type":"RaiseEvent","name":"n","ttl":5}') == ms.RaiseEvent("n")
    assert stored.read_failure('{"error_type":"E","message":"m","code":7}') == FailureDetails("E", "m")


def test_payload_text_is_not_read() -> None:
    payload = '{"a": 1.10, "b": 12345678901234567890, "a": "\\ud800\\u0000"}'
    [event] = stored.read_events(stored.write_events([ev.EventRaised("e", payload)]))
    assert isinstance(event, ev.EventRaised)
    assert event.input == payload


@pytest.mark.parametrize(
    "text",
    ["", "[", "{}", "[1]", '[{"type":"Unheard"}]', '[{"type":"TaskScheduled"}]', b'["\xff"]', '[{"task_id":1}]'],
)
def test_what_is_no_history_is_named(text: str | bytes) -> None:
    with pytest.raises(stored.UnreadableText):
        stored.read_events(text)


@pytest.mark.parametrize("stored_format", [0, -1, stored.STORED_FORMAT + 1, 10**12])
def test_an_unknown_format_is_refused(stored_format: int) -> None:
    with pytest.raises(stored.UnreadableText, match=str(stored_format)):
        stored.read_events("[]", stored_format)


def test_an_old_format_is_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**event, "task_id": event["id"]} for event in events]

    def retype(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**event, "type": "TaskScheduled"} for event in events]

    monkeypatch.setattr(stored, "STORED_FORMAT", 3)
    monkeypatch.setitem(stored.UPGRADES, 1, rename)
    monkeypatch.setitem(stored.UPGRADES, 2, retype)
    assert stored.read_events('[{"type":"Old","id":4,"name":"n"}]', 1) == [ev.TaskScheduled(4, "n")]
    assert stored.read_events('[{"type":"Old","task_id":4,"name":"n"}]', 2) == [ev.TaskScheduled(4, "n")]


def test_a_lone_surrogate_cannot_be_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        stored.write_events([ev.EventRaised("e", "\ud800")])
