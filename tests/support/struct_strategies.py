"""Hypothesis strategies for our Structs, made from their fields."""

import enum
import types
import typing
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
"""Any text that UTF-8 can hold."""
_ATOMS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    Any: st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
        max_leaves=3,
    ),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type as our Structs use them: atoms, enums, optional ones, tuples, dictionaries, Structs."""
    if kind in _ATOMS:
        return _ATOMS[kind]
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return st.one_of(*map(values, arguments))
    if typing.get_origin(kind) is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if typing.get_origin(kind) is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return structs(kind)
    raise TypeError(f"no strategy for {kind!r}")


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Values of one Struct, recursion included."""
    return st.deferred(lambda: st.builds(kind, **{f.name: values(f.type) for f in msgspec.structs.fields(kind)}))
