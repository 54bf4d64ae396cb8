"""Who should hold how many partitions: a pure function of what a process sees of the hub."""

from collections.abc import Collection

import msgspec

from perdure.storage.shared.tables import Sight


class Plan(msgspec.Struct, frozen=True):
    """What one process should do now.

    ``bury``: processes whose time is over. ``claim``: free partitions up to its share. ``give_back``: what it holds
    beyond its share.
    """

    bury: tuple[int, ...] = ()
    claim: tuple[int, ...] = ()
    give_back: frozenset[int] = frozenset()


def balance(sight: Sight, process: int, going: Collection[int] = ()) -> Plan:
    """The plan of ``process``. ``going``: what it holds and has been asked to give back already.

    Shares differ by one at most; the processes with the lowest numbers have the larger ones. So whoever comes last
    takes from each, whoever goes leaves to each, and no partition moves between two that stay.
    """
    bury = tuple(row.number for row in sight.processes if not row.is_alive)
    running = sorted(row.number for row in sight.processes if row.is_alive and row.runs)
    if process not in running:
        return Plan(bury)
    place = running.index(process)
    share = len(sight.partitions) // len(running) + (1 if place < len(sight.partitions) % len(running) else 0)
    mine = sorted(row.partition for row in sight.partitions if row.owner == process)
    staying = [partition for partition in mine if partition not in going]
    if len(staying) > share:
        return Plan(bury, give_back=frozenset(staying[share:]))
    free = [row.partition for row in sight.partitions if row.owner is None]
    # Each begins elsewhere, so that several that claim at once seldom want the same.
    first = place * len(free) // len(running)
    return Plan(bury, claim=tuple((free[first:] + free[:first])[: max(0, share - len(mine))]))
