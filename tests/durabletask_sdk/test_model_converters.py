"""Converters for models of pydantic and msgspec."""

import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pydantic
import pytest

from durabletask import serialization
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
from durabletask.serialization import DataConverter, MsgspecDataConverter, PydanticDataConverter

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = uuid.UUID(int=7)


class PydanticItem(pydantic.BaseModel):
    name: str
    at: datetime
    key: uuid.UUID
    amount: int = pydantic.Field(1, alias="amountOf")


class MsgspecItem(msgspec.Struct):
    name: str
    at: datetime
    key: uuid.UUID
    amount: int = msgspec.field(default=1, name="amountOf")


@dataclass
class Box:
    items: list[Any]


@pytest.fixture(params=["pydantic", "msgspec"])
def library(request: pytest.FixtureRequest) -> tuple[DataConverter, Any, Callable[..., Any]]:
    """A converter, the class of a model, and what makes one."""
    if request.param == "pydantic":
        return PydanticDataConverter(), PydanticItem, lambda n: PydanticItem(name="a", at=AT, key=KEY, amountOf=n)
    return MsgspecDataConverter(), MsgspecItem, lambda n: MsgspecItem("a", AT, KEY, n)


Library = tuple[DataConverter, Any, Callable[..., Any]]


def test_models_are_written_and_read(library: Library) -> None:
    converter, model, make = library
    text = converter.serialize(make(2))
    assert text is not None
    assert '"amountOf": 2' in text
    assert str(KEY) in text
    assert converter.deserialize(text, model) == make(2)
    assert converter.deserialize(text)["name"] == "a"


def test_models_stand_anywhere(library: Library) -> None:
    converter, model, make = library
    for value, target in [
        ([make(1), make(2)], list[model]),
        ({"x": make(1)}, dict[str, model]),
        (make(3), model | None),
        ([[make(1)], []], list[list[model]]),
    ]:
        assert converter.deserialize(converter.serialize(value), target) == value
        assert converter.can_reconstruct(target)
    assert converter.deserialize(None, model | None) is None
    assert converter.deserialize("null", model | None) is None
    text = converter.serialize(Box([make(1)]))
    assert converter.deserialize(text, Box).items[0]["name"] == "a"


def test_other_values_are_json_as_ever(library: Library) -> None:
    converter, model, _ = library
    assert converter.serialize(None) is None
    assert converter.deserialize(converter.serialize({"a": [1, "b"]})) == {"a": [1, "b"]}
    assert converter.deserialize('{"items": [1]}', Box) == Box([1])
    assert converter.can_reconstruct(model)
    assert converter.can_reconstruct(Box)
    assert not converter.can_reconstruct(int)
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        converter.serialize(object())


def test_data_that_a_model_does_not_take_are_an_error(library: Library) -> None:
    converter, model, _ = library
    with pytest.raises(ValueError, match="amountOf"):
        converter.deserialize(f'{{"name": "a", "at": "{AT.isoformat()}", "key": "{KEY}", "amountOf": []}}', model)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(ImportError, match=r"needs the package pydantic. .* 'perdure\[pydantic\]'"):
        serialization.PydanticDataConverter()
    with pytest.raises(AttributeError, match="OtherConverter"):
        serialization.OtherConverter  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_a_program_gets_models_where_it_says_so(library: Library) -> None:
    converter, model, make = library

    def more(ctx: Any, item: Any) -> Any:
        assert type(item) is model
        return make(item.amount + 1)

    def orchestrator(ctx: Any, item: Any) -> Any:
        assert type(item) is model
        result = yield ctx.call_activity(more, input=item)
        assert type(result) is model
        return result

    more.__annotations__ = {"item": model, "return": model}
    orchestrator.__annotations__ = {"item": model}
    endpoint = f"Endpoint=embedded://models-{model.__name__}"
    with (
        DurableTaskSchedulerWorker(endpoint, data_converter=converter) as worker,
        DurableTaskSchedulerClient(endpoint, mode="sync", data_converter=converter) as client,
    ):
        worker.add_orchestrator(orchestrator)
        worker.add_activity(more)
        worker.start()
        instance_id = client.schedule_new_orchestration(orchestrator, input=make(1))
        state = client.wait_for_orchestration_completion(instance_id, timeout=20)
    assert state is not None
    state.raise_if_failed()
    assert state.get_output(model) == make(2)
