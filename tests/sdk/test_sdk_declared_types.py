"""Values of types that the app declared come back as they were; undeclared ones stay plain data."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, NamedTuple, NewType, Optional, TypedDict
from uuid import UUID

import pytest

from azure.durable_functions.serialization import from_text, from_text_as, to_text


class Color(Enum):
    RED = "red"
    GREEN = 2


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


class Place(NamedTuple):
    city: str
    since: date


@dataclass
class Item:
    name: str
    price: Decimal = Decimal(0)
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Order:
    id: UUID
    placed_at: datetime
    items: list[Item]
    color: Color = Color.RED
    notes: dict[str, Item] = field(default_factory=dict)
    place: Place | None = None
    parent: Optional["Order"] = None
    pair: tuple[Item, int] | None = None


@dataclass(slots=True)
class Slotted:
    raw: bytes
    waits: timedelta


class Counter:
    def __init__(self):
        self.value = 0
        self._hidden = Item("x")


class Painted(Counter):
    color: Color

    def __init__(self):
        super().__init__()
        self.color = Color.GREEN


class Basket(TypedDict):
    first: Item
    when: datetime


class Holder:
    """Keeps what cannot be written."""

    def __init__(self):
        self.lock = threading.Lock()


OrderId = NewType("OrderId", UUID)
ID = UUID("12345678-1234-5678-1234-567812345678")
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
ITEM = Item("tea", Decimal("1.50"), ["a"])
ORDER = Order(ID, AT, [ITEM, Item("cup")], Color.GREEN, {"n": ITEM}, Place("Oslo", date(2026, 1, 1)), None, (ITEM, 3))


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        (AT, datetime),
        (AT.replace(tzinfo=None), datetime),
        (AT.date(), date),
        (time(1, 2, 3, 4), time),
        (timedelta(days=3, microseconds=7), timedelta),
        (ID, UUID),
        (ID, OrderId),
        (ID, Annotated[UUID, "an id"]),
        (Decimal("0.10"), Decimal),
        (b"\x00\xff", bytes),
        (bytearray(b"ab"), bytearray),
        (Color.RED, Color),
        (Color.GREEN, Color | None),
        (Level.LOW, Level),
        (Word.YES, Word),
        (Place("Oslo", date(2026, 1, 1)), Place),
        (ITEM, Item),
        (ORDER, Order),
        (Order(ID, AT, [], parent=ORDER), Order),
        (Slotted(b"\x01", timedelta(seconds=1)), Slotted),
        ([ITEM, ITEM], list[Item]),
        ({"a": ITEM}, dict[str, Item]),
        ((ITEM, 2, "x"), tuple[Item, int, str]),
        ((AT, AT), tuple[datetime, ...]),
        (ITEM, Item | str),
        ("tea", Item | str),
        (None, Optional[Item]),  # noqa: UP045 - the other spelling of the same
        ({"first": ITEM, "when": AT}, Basket),
        ([{"at": AT}], Any),
    ],
    ids=str,
)
def test_a_declared_value_comes_back_as_it_was(value, declared):
    if declared is Any:
        assert from_text(to_text(value), declared) == [{"at": AT.isoformat()}]
        return
    assert from_text(to_text(value), declared) == value
    assert from_text_as(to_text(value), declared) == value


def test_plain_objects_come_back_with_their_attributes():
    counter = Counter()
    counter.value = 7

    back = from_text_as(to_text(counter), Counter)

    assert type(back) is Counter
    assert back.value == 7
    assert back._hidden["__class__"] == "Item"  # nothing declares what it is


def test_attributes_that_a_plain_class_annotates_are_rebuilt():
    assert from_text_as(to_text(Painted()), Painted).color is Color.GREEN


def test_an_undeclared_object_stays_a_dict():
    text = to_text(ITEM)

    assert from_text(text) == json.loads(text)
    assert json.loads(text)["__data__"] == {"name": "tea", "price": "1.50", "tags": ["a"]}


def test_constructors_are_not_run_again():
    runs = []

    @dataclass
    class Counted:
        n: int

        def __post_init__(self):
            runs.append(self.n)

    text = to_text(Counted(1))

    assert from_text_as(text, Counted).n == 1
    assert runs == [1]


def test_fields_added_since_it_was_written_take_their_defaults():
    old = json.dumps({"__class__": "Item", "__module__": __name__, "__data__": {"name": "old", "gone": 1}})

    assert from_text_as(old, Item) == Item("old")


def test_a_missing_field_without_a_default_leaves_the_dict_with_a_warning(caplog):
    text = json.dumps({"__class__": "Item", "__module__": __name__, "__data__": {}})

    assert from_text_as(text, Item) == json.loads(text)
    assert "has no 'name'" in caplog.text


def test_a_plain_object_is_built_where_the_code_asks_for_the_type():
    assert from_text_as('{"name": "tea", "price": "2"}', Item) == Item("tea", Decimal(2))
    assert from_text_as('[{"name": "tea"}]', list[Item]) == [Item("tea")]


@pytest.mark.parametrize("text", ['{"price": 1}', '{"name": "tea", "unknown": 1}', "[1]", '"tea"'])
def test_a_plain_object_that_does_not_fit_is_left_with_a_warning(text, caplog):
    assert from_text_as(text, Item) == json.loads(text)
    assert "not compatible with expected type Item" in caplog.text


def test_under_a_mere_annotation_a_plain_object_stays_a_dict_as_officially():
    assert from_text('{"name": "tea"}', Item) == {"name": "tea"}
    assert from_text('{"value": 1}', Counter) == {"value": 1}


def test_the_class_in_the_envelope_must_be_the_declared_one(caplog):
    assert from_text_as(to_text(ITEM), Counter)["__class__"] == "Item"
    assert "expected" in caplog.text


def test_special_attributes_are_refused(caplog):
    text = json.dumps({"__class__": "Counter", "__module__": __name__, "__data__": {"__class__": "x", "value": 1}})

    assert from_text_as(text, Counter) == json.loads(text)
    assert "special attributes" in caplog.text


@pytest.mark.parametrize(
    ("text", "declared"), [('"not a date"', datetime), ("5", UUID), ('"blue"', Color), ("{}", bytes)]
)
def test_scalars_that_do_not_fit_stay_as_they_are(text, declared, caplog):
    assert from_text(text, declared) == json.loads(text)
    assert from_text_as(text, declared) == json.loads(text)
    assert "not compatible" in caplog.text


class Model:
    """Has the protocol of pydantic models."""

    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return isinstance(other, Model) and self.n == other.n

    def model_dump(self, mode):
        assert mode == "json"
        return {"n": str(self.n)}

    @classmethod
    def model_validate(cls, written):
        return cls(int(written["n"]))


def test_models_dump_and_validate_themselves():
    assert from_text(to_text(Model(5)), Model) == Model(5)
    assert from_text_as('{"n": 5}', Model | None) == Model(5)
    assert from_text('{"n": 5}', Model) == {"n": 5}


def test_a_model_that_refuses_leaves_the_value_with_its_reason(caplog):
    assert from_text_as('{"n": "five"}', Model) == {"n": "five"}
    assert "invalid literal" in caplog.text


def test_objects_that_hold_machinery_are_refused():
    with pytest.raises(TypeError, match="lock"):
        to_text(Holder())


def test_annotations_that_cannot_be_resolved_do_no_harm():
    @dataclass
    class Vague:
        other: "NoSuchName"  # noqa: F821 - that is the point
        n: int = 0

    assert from_text_as(to_text(Vague(ITEM, 1)), Vague).n == 1


@pytest.mark.parametrize("declared", [list, dict, str, int, object, None, Any, "Item", Exception, type, [1]])
def test_any_annotation_is_bearable(declared):
    assert from_text('{"a": 1}', declared) == {"a": 1}


def test_seven_digit_fractions_of_seconds_are_read():
    assert from_text('"2026-01-02T03:04:05.6789012Z"', datetime) == AT.replace(microsecond=678901)
