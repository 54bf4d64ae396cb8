"""Values ↔ JSON (portable-sdk.md §8)."""

from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from durabletask.serialization import DEFAULT_DATA_CONVERTER as converter


class Colour(Enum):
    RED = "red"


class Rank(IntEnum):
    HIGH = 3


@dataclass
class Node:
    value: int
    child: "Node | None" = None


class Money:
    def __init__(self, cents):
        self.cents = cents

    def to_json(self):
        return {"cents": self.cents}

    @classmethod
    def from_json(cls, value, converter):
        assert converter.serialize(1) == "1"
        return cls(value["cents"])


@dataclass
class Priced:
    price: Money

    def to_json(self):
        return {"p": self.price}

    @classmethod
    def from_json(cls, value):
        return cls(value["p"])


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ({"a": (1, 2)}, '{"a": [1, 2]}'),
        ("é", '"\\u00e9"'),
        (Node(1, Node(2)), '{"value": 1, "child": {"value": 2, "child": null}}'),
        (SimpleNamespace(a=1), '{"a": 1}'),
        (Colour.RED, '"red"'),
        (Rank.HIGH, "3"),
        (Point(1, 2), "[1, 2]"),
        (Money(5), '{"cents": 5}'),
        ([Priced(Money(5))], '[{"p": {"cents": 5}}]'),
    ],
)
def test_writing(value, text):
    assert converter.serialize(value) == text


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")])
def test_what_has_no_json_form(value):
    with pytest.raises(TypeError, match="cannot be written as JSON") as raised:
        converter.serialize(value)
    assert raised.value.__cause__ is not None


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        (None, Node, None),
        ("", Node, None),
        ('{"value": 1, "child": {"value": 2}}', Node, Node(1, Node(2))),
        ('{"value": 1, "more": 2}', Node, Node(1)),
        ('[{"value": 1}]', list[Node], [Node(1)]),
        ('[{"value": 1}]', Sequence[Node], [Node(1)]),
        ('{"k": {"value": 1}}', dict[str, Node], {"k": Node(1)}),
        ('{"value": 1}', Optional[Node], Node(1)),  # noqa: UP045 - both ways to write it
        ('"red"', Colour, Colour.RED),
        ("[1, 2]", tuple[int, int], (1, 2)),
        ("[1, 2]", Point, Point(1, 2)),
        ("3", float, 3.0),
        ('"5"', int, 5),
        ('"x"', int, "x"),
        ("[1]", Node, [1]),
        ('{"a": 1}', Any, {"a": 1}),
        ("true", int, True),
        ("1.5", int | str, 1.5),
        ('{"a": 1}', int | str, {"a": 1}),
        ("[1]", dict | str, [1]),
        ('"5"', Optional[int], 5),  # noqa: UP045 - both ways to write it
        ('{"value": 1}', str | Node, Node(1)),
        ('{"cents": 1}', Node | Colour, {"cents": 1}),
        ('[{"value": 1}]', list[Node] | str, [Node(1)]),
        ('{"x": 1, "y": 2}', Point, {"x": 1, "y": 2}),
        ('{"a": 1, "__durabletask_autoobject__": true}', None, SimpleNamespace(a=1)),
    ],
)
def test_reading(text, target, value):
    read = converter.deserialize(text, target)

    assert read == value
    assert type(read) is type(value)


def test_from_json_may_take_the_converter():
    assert converter.deserialize('{"cents": 7}', Money).cents == 7
    assert converter.coerce({"p": 1}, Priced) == Priced(1)


@pytest.mark.parametrize(
    ("target", "can"),
    [
        *((target, True) for target in (Node, Money, list[Node], Node | None, Sequence[Node])),
        *((target, False) for target in (dict, int, str, Any, dict[str, Node], list[int])),
    ],
)
def test_what_an_annotation_alone_rebuilds(target, can):
    assert converter.can_reconstruct(target) is can
