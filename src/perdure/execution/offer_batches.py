"""How much goes to the store in one call: stores have limits of their own, and payloads may be large."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

CHARACTERS_MAX = 16_000_000
"""With so many characters of payload a call takes nothing more; what is larger by itself goes alone."""


def together(items: Iterable[T], *, count_max: int, characters_of: Callable[[T], int]) -> list[T]:
    """The first of them, as many as go into one call; one at least, if there are any."""
    taken: list[T] = []
    size = 0
    for item in islice(items, count_max):
        size += characters_of(item)
        if taken and size > CHARACTERS_MAX:
            break
        taken.append(item)
    return taken
