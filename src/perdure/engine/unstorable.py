"""Finds the text that no store can hold: a lone surrogate is legal in a Python string and nowhere else."""

from collections.abc import Iterable, Mapping
from typing import cast

import msgspec

from perdure.core.failures import FailureDetails, storable

SHOWN_MAX = 100


def unstorable_failure(value: msgspec.Struct) -> FailureDetails | None:
    """The failure of whoever produced ``value``, naming its first text that cannot be stored; None when all can."""
    found = _find(value, type(value).__name__)
    if found is None:
        return None
    where, text = found
    shown = storable(text[:SHOWN_MAX])
    return FailureDetails(
        "UnstorableText",
        f"{where} is '{shown}', which holds half of a character (a lone surrogate) and cannot be stored.",
        is_non_retriable=True,
    )


def _find(value: object, where: str) -> tuple[str, str] | None:
    if isinstance(value, str):
        return None if _is_storable(value) else (where, value)
    if isinstance(value, msgspec.Struct):
        kind = type(value)
        parts: Iterable[tuple[str, object]] = (
            (f"{kind.__name__}.{name}", getattr(value, name)) for name in kind.__struct_fields__
        )
    elif isinstance(value, Mapping):
        items = cast(Mapping[object, object], value)
        parts = ((where, part) for item in items.items() for part in item)
    elif isinstance(value, list | tuple):
        parts = ((where, part) for part in cast(Iterable[object], value))
    else:
        return None
    return next((found for name, part in parts if (found := _find(part, name)) is not None), None)


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
