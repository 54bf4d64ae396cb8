"""Values ↔ text: byte for byte what json.dumps writes, the same value back, and clear refusals."""

import dataclasses
import json
import math
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure.durable_functions.serialization import from_text, from_text_as, to_optional_text, to_text

_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates and NUL too
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
)


class Point:
    """Has the official protocol."""

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __eq__(self, other):
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    @staticmethod
    def to_json(point):
        return {"x": point.x, "y": point.y}

    @classmethod
    def from_json(cls, written):
        return cls(written["x"], written["y"])


def point_text(x: object = 1, y: object = 2, module: str = __name__, name: str = "Point") -> str:
    return json.dumps({"__class__": name, "__module__": module, "__data__": {"x": x, "y": y}})


@pytest.fixture
def loaded_here(monkeypatch):
    """This file under its own name among the loaded modules, as an app's modules are."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())


def _this_module():
    module = type(sys)(__name__)
    module.__dict__.update(globals())
    return module


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")


@given(JSON_VALUES)
def test_any_json_value_is_written_as_json_dumps_does_and_comes_back(value):
    text = to_text(value)

    assert text == json.dumps(value)
    assert text.isascii()
    assert "\0" not in text
    assert from_text(text) == value


def test_tuples_become_lists_and_keys_become_text():
    assert to_text((1, (2,))) == "[1, [2]]"
    assert to_text({1: "a", None: 2, False: 3}) == json.dumps({1: "a", None: 2, False: 3})


def test_no_payload_is_none_both_ways():
    assert to_optional_text(None) is None
    assert from_text(None) is None
    assert from_text_as(None, int) is None


@pytest.mark.parametrize("falsy", [0, "", False, [], {}, 0.0])
def test_falsy_values_are_payloads(falsy):
    assert from_text(to_optional_text(falsy)) == falsy


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, -math.inf], {"a": {"b": math.nan}}])
def test_nan_and_infinities_are_refused_by_name(value):
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        to_text(value)


def test_a_value_that_contains_itself_is_refused():
    endless: list = []
    endless.append(endless)

    with pytest.raises(ValueError, match=r"Circular|nested"):
        to_text(endless)


def test_nesting_of_ten_thousand_levels_is_refused_both_ways():
    value: list = []
    for _ in range(10_000):
        value = [value]

    with pytest.raises(ValueError, match="nested too deeply"):
        to_text(value)
    with pytest.raises(ValueError, match="nested too deeply"):
        from_text("[" * 10_000 + "]" * 10_000)


def test_many_brackets_side_by_side_are_not_deep():
    value = [{"[": ["]"]}] * 12_000

    assert from_text(to_text(value)) == value


def test_big_integers_stay_exact():
    assert from_text(to_text(2**4000)) == 2**4000


def test_text_that_is_not_json_says_so():
    with pytest.raises(json.JSONDecodeError):
        from_text("Seattle")


@pytest.mark.parametrize("text", [' {"a": 1}\n', "\t1 ", ' "x"'])
def test_white_space_around_json_is_allowed(text):
    assert from_text(text) == json.loads(text)


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 1, sys, ValueError("no"), (n for n in ()), complex(1, 2)])
def test_what_has_no_json_form_raises_type_error_naming_the_type(value):
    with pytest.raises(TypeError, match=type(value).__name__):
        to_text({"inner": [value]})
    with pytest.raises(TypeError, match=type(value).__name__):
        to_text(value)


def test_classes_with_the_protocol_are_written_in_their_envelope_at_any_depth():
    assert to_text(Point(1, 2)) == point_text()
    assert to_text({"at": [Point(1, Point(3, 4))]}) == ('{"at": [' + point_text(1, json.loads(point_text(3, 4))) + "]}")


def test_classes_with_the_protocol_come_back_by_the_name_in_the_payload(loaded_here):
    point = from_text(f'{{"at": [{point_text(1, 2)}]}}')["at"][0]

    assert (type(point).__name__, point.x, point.y) == ("Point", 1, 2)


def test_a_payload_never_imports():
    trap = "this_module_must_not_be_imported"
    text = point_text(module=trap)

    assert from_text(text) == json.loads(text)
    assert trap not in sys.modules


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("subprocess", "Popen"),
        ("os", "system"),
        ("builtins", "eval"),
        ("json", "JSONDecoder"),
        (__name__, "point_text"),
        (__name__, "sys"),
        (__name__, "json"),
        (__name__, "Missing"),
        (__name__, "Point.nested"),
    ],
)
def test_a_payload_never_reaches_what_did_not_ask_for_it(loaded_here, module, name):
    text = point_text(module=module, name=name)

    assert from_text(text) == json.loads(text)


@pytest.mark.parametrize("envelope", [{"__class__": 1}, {"__module__": None}, {"__class__": [], "__module__": {}}])
def test_broken_envelopes_stay_dicts(envelope):
    value = {"__class__": "Point", "__module__": __name__, "__data__": None, **envelope}

    assert from_text(json.dumps(value)) == value


def test_a_lazy_module_is_not_asked_to_load_anything(monkeypatch):
    lazy = type(sys)("lazy_module")

    def load(name):
        raise AssertionError(f"the module was asked for {name}")

    lazy.__getattr__ = load
    monkeypatch.setitem(sys.modules, "lazy_module", lazy)
    text = point_text(module="lazy_module", name="Point")

    assert from_text(text) == json.loads(text)


def test_strict_typing_needs_the_type(strict, loaded_here):
    with pytest.raises(TypeError, match="expected_type"):
        from_text(point_text())
    assert from_text_as(point_text(), Point) == Point(1, 2)
    assert from_text(point_text(), Point) == Point(1, 2)


def test_strict_typing_refuses_another_type(strict):
    with pytest.raises(TypeError, match="expected"):
        from_text_as(point_text(name="Other"), Point)
    with pytest.raises(TypeError, match="not compatible"):
        from_text_as('"text"', int)


def test_strict_typing_wraps_only_the_outermost_object(strict):
    assert to_text(Point(1, 2)) == point_text()
    with pytest.raises(TypeError, match="outermost"):
        to_text([Point(1, 2)])


def test_another_type_is_given_with_a_warning_otherwise(caplog):
    assert from_text_as('"text"', int) == "text"
    assert "not compatible with expected type int" in caplog.text


def test_an_annotation_is_not_enforced(caplog):
    assert from_text('"text"', int) == "text"
    assert not caplog.records


@dataclasses.dataclass
class Parcel:
    content: object


@pytest.mark.parametrize(
    ("value", "error", "place"),
    [
        ({"orders": [1, {"lock": threading.Lock()}]}, TypeError, "['orders'][1]['lock'] of the dict"),
        ({"tags": {1, 2}}, TypeError, "['tags'] of the dict"),
        ([Parcel([threading.Lock()])], TypeError, "[0].content[0] of the list"),
        (Parcel({"a": {3}}), TypeError, ".content['a'] of the Parcel"),
        ({"m": {(1, 2): 3}}, TypeError, "['m'][(1, 2)] (the key) of the dict"),
        ((1, {"rate": float("nan")}), ValueError, "[1]['rate'] of the tuple"),
    ],
)
def test_what_cannot_be_written_is_found_inside_its_value(value, error, place):
    with pytest.raises(error) as raised:
        to_text(value)

    assert str(raised.value).endswith(f"Found at {place}.")
