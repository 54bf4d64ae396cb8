"""Batches of checkpoints as columns, the way a store would hand them to asyncpg's array parameters.

One checkpoint: progress of one instance, one history row of some 600 bytes, one activity and one message inserted,
the activity and the message of the instance's checkpoint before that deleted; each sixth has the status Completed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

PARTITIONS = 32
SCHEMA = (Path(__file__).parent / "schema.sql").read_text()
EXECUTION = "0123456789abcdef0123456789abcdef"
EVENTS = '[{"t":"TaskCompleted","seq":17,"result":"\\"Hello Tokyo!\\""},' + '{"t":"x","pad":"' + "a" * 520 + '"}]'
MESSAGE = '{"t":"raise","name":"go","input":"' + "b" * 80 + '"}'

Columns = list[list[Any]]


@dataclass
class Batch:
    """One commit's worth: the columns of each table, and the partitions it touches with their epochs."""

    partitions: list[int]
    epochs: list[int]
    progress: Columns
    history: Columns
    activities: Columns
    ended_activities: list[int]
    messages: Columns
    consumed: list[int]


class Traffic:
    """Instances of one writer, each taking checkpoint after checkpoint."""

    def __init__(self, first: int, instances: int, partitions: range = range(PARTITIONS)) -> None:
        self.first = first
        self.instances = instances
        self.partitions = partitions
        self.epoch = 1
        self._turn = 0
        self._number = first * 1_000_000
        self._open: dict[int, tuple[int, int, int]] = {}

    async def create(self, connection: asyncpg.Connection) -> None:
        """Insert the instances and the partitions that are not there."""
        await connection.execute(
            "insert into partition select n, 1, 'me', now() from unnest($1::smallint[]) n on conflict do nothing",
            list(self.partitions),
        )
        await connection.execute(
            "insert into instance select n, ($3::smallint[])[1 + n % cardinality($3::smallint[])], 'order-' || n, 0,"
            " 'sequence', $4, 1, null,"
            " '\"Tokyo\"', 1, null, null, null, null, 7, 0, 1, -1, null, null, null, null, 1, null, null, null, 9"
            " from generate_series($1::bigint, $1::bigint + $2::int - 1) n",
            self.first,
            self.instances,
            list(self.partitions),
            EXECUTION,
        )

    def partition_of(self, instance: int) -> int:
        return self.partitions[instance % len(self.partitions)]

    def batch(self, size: int) -> Batch:
        """The next ``size`` checkpoints, each of another instance."""
        numbers = [self.first + (self._turn + n) % self.instances for n in range(size)]
        self._turn += size
        partitions = [self.partition_of(n) for n in numbers]
        touched = sorted(set(partitions))
        nothing = [None] * size
        before = [self._open.get(n) for n in numbers]
        seqs = [-1 if b is None else b[0] for b in before]
        fresh = range(self._number, self._number + size)
        self._number += size
        for number, seq, row in zip(numbers, seqs, fresh, strict=True):
            self._open[number] = (seq + 3, row, row)
        ended = [int(s // 3 % 6 == 5) for s in seqs]
        now = [1_790_000_000_000_000 + self._turn] * size
        progress: Columns = [
            numbers, seqs, partitions, ended, now, [s + 3 for s in seqs],
            nothing, nothing, nothing, [now[0] if e else None for e in ended], now, nothing, nothing, nothing,
            [123_456_789] * size,
        ]  # fmt: skip
        history: Columns = [
            numbers, partitions, [s + 1 for s in seqs], [3] * size, [1] * size, [EVENTS] * size, [42] * size,
        ]  # fmt: skip
        activities: Columns = [
            list(fresh), numbers, partitions, [EXECUTION] * size, [s + 3 for s in seqs], [1] * size,
            ["say_hello"] * size, ['"Tokyo"'] * size, [77] * size,
        ]  # fmt: skip
        messages: Columns = [
            list(fresh), partitions, [f"order-{n}" for n in numbers], nothing, [1] * size, [MESSAGE] * size,
            [78] * size,
        ]  # fmt: skip
        return Batch(
            touched,
            [self.epoch] * len(touched),
            progress,
            history,
            activities,
            [b[1] for b in before if b is not None],
            messages,
            [b[2] for b in before if b is not None],
        )
