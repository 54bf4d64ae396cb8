"""Short texts that a caller hangs on a call or an instance."""

from collections.abc import Mapping
from typing import Any


def tags_of(given: Any) -> dict[str, str] | None:
    """A copy of the tags; None when there are none. Raises TypeError for anything but texts by texts."""
    if not given:
        return None
    if not isinstance(given, Mapping) or not all(isinstance(part, str) for pair in given.items() for part in pair):
        raise TypeError(f"tags is a dict of texts by texts, as {{'team': 'a'}}, not {given!r}.")
    return dict(given)
