"""The copy itself: part by part, batch by batch, taken up where it was broken off."""

from collections.abc import Callable

import msgspec

from perdure.contracts.errors import StoreFailed
from perdure.storage.copying.parts import Counts, Part, Reached, Source, Target

Progress = Callable[[int, int], None]
"""Told how many rows of how many are there."""
_ORDER = (Part.INSTANCES, Part.ACTIVITIES, Part.MESSAGES)


class Copied(msgspec.Struct, frozen=True):
    """How many rows there are on both sides. ``resumed``: those that an earlier attempt had brought over."""

    source: Counts
    target: Counts
    resumed: int


async def copy_hub(source: Source, target: Target, progress: Progress) -> Copied:
    """Copy the whole hub; both are open only meanwhile.

    Raises StoreInUse, StoreUnusable, Unavailable; whatever happens, the source is as it was, and a copy that was
    broken off goes on with the next call.
    """
    try:
        await source.open()
        reached = await target.open(await source.fingerprint())
        expected = await source.counts()
        already = (await target.counts()).total
        done = already
        progress(done, expected.total)
        for part in _ORDER[_ORDER.index(reached.part) if reached.part in _ORDER else len(_ORDER) :]:
            at = reached if part is reached.part else Reached(part)
            while (batch := await source.read(at)) is not None:
                await target.write(part, batch)
                at = Reached(part, batch.after)
                done += batch.size
                progress(done, expected.total)
        found = await target.counts()
        if found != expected:
            raise StoreFailed(f"The copy has other rows than its source: {found} instead of {expected}.")
        await target.finish(await source.number_bound())
        return Copied(expected, found, already)
    finally:
        await target.close()
        await source.close()
