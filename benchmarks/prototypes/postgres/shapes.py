"""The ways to write a batch: a statement for each table, one statement of all, one function, COPY."""

from typing import Protocol

import asyncpg

from benchmarks.prototypes.postgres.traffic import Batch, Columns

PROGRESS = """unnest(${0}::bigint[], ${1}::int[], ${2}::smallint[], ${3}::smallint[], ${4}::bigint[], ${5}::int[],
    ${6}::text[], ${7}::text[], ${8}::text[], ${9}::bigint[], ${10}::bigint[], ${11}::text[], ${12}::text[],
    ${13}::text[], ${14}::bigint[]) as v(number, expected_seq, partition, status, updated_at, last_seq, custom_status,
    output, failure, completed_at, episode_at, awaited_events, state, locked_by, progress_crc)"""
HISTORY = """unnest(${0}::bigint[], ${1}::smallint[], ${2}::int[], ${3}::int[], ${4}::smallint[], ${5}::text[],
    ${6}::bigint[]) as v(instance, partition, first_seq, count, format, events, crc)"""
ACTIVITIES = """unnest(${0}::bigint[], ${1}::bigint[], ${2}::smallint[], ${3}::text[], ${4}::int[], ${5}::int[],
    ${6}::text[], ${7}::text[], ${8}::bigint[])
    as v(number, instance, partition, execution_id, seq, task_id, name, input, crc)"""
MESSAGES = """unnest(${0}::bigint[], ${1}::smallint[], ${2}::text[], ${3}::bigint[], ${4}::smallint[], ${5}::text[],
    ${6}::bigint[]) as v(position, partition, target, due_at, format, message, crc)"""
SET_PROGRESS = """update instance i set status = v.status, updated_at = v.updated_at, last_seq = v.last_seq,
    custom_status = v.custom_status, output = v.output, failure = v.failure, completed_at = v.completed_at,
    episode_at = v.episode_at, awaited_events = v.awaited_events, state = v.state, locked_by = v.locked_by,
    progress_crc = v.progress_crc"""
FENCE = """select p.number from partition p join unnest(${0}::smallint[], ${1}::bigint[]) as e(number, epoch)
    on e.number = p.number and e.epoch = p.epoch"""


def numbered(text: str, first: int, count: int) -> str:
    """The text with its parameters numbered from ``first``."""
    return text.format(*range(first, first + count))


SEPARATE = (
    numbered(FENCE, 1, 2) + " order by p.number for share of p",
    f"{SET_PROGRESS} from {numbered(PROGRESS, 1, 15)} where i.number = v.number and i.last_seq = v.expected_seq",
    f"insert into history select instance, first_seq, count, format, events, crc from {numbered(HISTORY, 1, 7)}",
    f"insert into activity select * from {numbered(ACTIVITIES, 1, 9)}",
    "delete from activity where number = any($1::bigint[])",
    f"insert into inbox select * from {numbered(MESSAGES, 1, 7)}",
    "delete from inbox where position = any($1::bigint[])",
)

ONE = f"""with fence as materialized ({numbered(FENCE, 1, 2)} order by p.number {{lock}}),
u as ({SET_PROGRESS} from {numbered(PROGRESS, 3, 15)} join fence f on f.number = v.partition
    where i.number = v.number and i.last_seq = v.expected_seq returning i.number),
h as (insert into history select instance, first_seq, count, format, events, crc
    from {numbered(HISTORY, 18, 7)} join fence f on f.number = v.partition),
a as (insert into activity select v.* from {numbered(ACTIVITIES, 25, 9)} join fence f on f.number = v.partition),
ea as (delete from activity where number = any($34::bigint[]) and partition in (select number from fence)),
m as (insert into inbox select v.* from {numbered(MESSAGES, 35, 7)} join fence f on f.number = v.partition),
em as (delete from inbox where position = any($42::bigint[]) and partition in (select number from fence)
    returning position)
select pg_current_xact_id()::text, (select array_agg(number) from fence), (select count(*) from u),
    (select count(*) from em)"""
"""A message joins the fence of its sender, here the same partition: else what a zombie sends would go out."""

ROUND = "r as (update writer set round = round + 1 where process = 1 and incarnation = 1 returning round)"
ONE_LOCKS = {"for share": "for share of p", "for key share": "for key share of p", "no lock": ""}

GENERIC = {"plan_cache_mode": "force_generic_plan"}
GUARDED = GENERIC | {"enable_seqscan": "off"}
"""A plan made while a table was small and kept when it has grown must not read it all for each row of a batch."""

_TYPES = [
    "smallint[]",
    "bigint[]",
    "bigint[]",
    "int[]",
    "smallint[]",
    "smallint[]",
    "bigint[]",
    "int[]",
    "text[]",
    "text[]",
    "text[]",
    "bigint[]",
    "bigint[]",
    "text[]",
    "text[]",
    "text[]",
    "bigint[]",
    "bigint[]",
    "smallint[]",
    "int[]",
    "int[]",
    "smallint[]",
    "text[]",
    "bigint[]",
    "bigint[]",
    "bigint[]",
    "smallint[]",
    "text[]",
    "int[]",
    "int[]",
    "text[]",
    "text[]",
    "bigint[]",
    "bigint[]",
    "bigint[]",
    "smallint[]",
    "text[]",
    "bigint[]",
    "smallint[]",
    "text[]",
    "bigint[]",
    "bigint[]",
]

FUNCTION = f"""create function write_round({", ".join(_TYPES)}, out transaction text, out held smallint[],
    out updated int, out taken int) language plpgsql as $body$
begin
    transaction := pg_current_xact_id()::text;
    select array_agg(number) into held from ({numbered(FENCE, 1, 2)} order by p.number for share of p) f;
    {SET_PROGRESS} from {numbered(PROGRESS, 3, 15)}
        where i.number = v.number and i.last_seq = v.expected_seq and v.partition = any(held);
    get diagnostics updated = row_count;
    insert into history select instance, first_seq, count, format, events, crc
        from {numbered(HISTORY, 18, 7)} where v.partition = any(held);
    insert into activity select v.* from {numbered(ACTIVITIES, 25, 9)} where v.partition = any(held);
    delete from activity where number = any($34) and partition = any(held);
    insert into inbox select v.* from {numbered(MESSAGES, 35, 7)} where v.partition = any(held);
    delete from inbox where position = any($42) and partition = any(held);
    get diagnostics taken = row_count;
end $body$"""
CALL = "select * from write_round(" + ", ".join(f"${n}" for n in range(1, 43)) + ")"


class Shape(Protocol):
    """Writes one batch and returns when it is committed."""

    async def write(self, batch: Batch) -> None: ...


def arguments(batch: Batch) -> Columns:
    """What the one statement and the function take."""
    return [
        batch.partitions, batch.epochs, *batch.progress, *batch.history, *batch.activities, batch.ended_activities,
        *batch.messages, batch.consumed,
    ]  # fmt: skip


class Separate:
    """BEGIN, the fence, a statement for each table and kind, COMMIT: nine round trips."""

    async def prepare(self, connection: asyncpg.Connection) -> "Separate":
        self.connection = connection
        self.statements = [await connection.prepare(text) for text in SEPARATE]
        return self

    async def write(self, batch: Batch) -> None:
        fence, progress, history, activities, ended, messages, consumed = self.statements
        await self.connection.execute("begin")
        await fence.fetch(batch.partitions, batch.epochs)
        await progress.fetch(*batch.progress)
        await history.fetch(*batch.history)
        await activities.fetch(*batch.activities)
        await ended.fetch(batch.ended_activities)
        await messages.fetch(*batch.messages)
        await consumed.fetch(batch.consumed)
        await self.connection.execute("commit")


class OneStatement:
    """One data-modifying WITH: one round trip, its own transaction."""

    def __init__(self, lock: str = "for share", *, hint: bool = False) -> None:
        self.text = ONE.format(lock=ONE_LOCKS[lock]) + (", pg_notify('hub', '7')" if hint else "")

    def counting(self) -> "OneStatement":
        """With the process's row of rounds in it."""
        self.text = self.text.replace("with fence as", f"with {ROUND}, fence as") + " from r"
        return self

    async def prepare(self, connection: asyncpg.Connection) -> "OneStatement":
        self.statement = await connection.prepare(self.text)
        return self

    async def write(self, batch: Batch) -> None:
        _, held, updated, taken = (await self.statement.fetch(*arguments(batch)))[0][:4]
        assert len(held) == len(batch.partitions)
        assert [updated, taken] == [len(batch.progress[0]), len(batch.consumed)]


class Bracketed(OneStatement):
    """The one statement between BEGIN and COMMIT, so that its transaction's id is known before the COMMIT."""

    async def prepare(self, connection: asyncpg.Connection) -> "Bracketed":
        self.connection = connection
        await super().prepare(connection)
        return self

    async def write(self, batch: Batch) -> None:
        await self.connection.execute("begin")
        await super().write(batch)
        await self.connection.execute("commit")


class Function:
    """One call of a function of the hub's: one round trip, its own transaction."""

    name = "write_round"
    settings = ""

    async def prepare(self, connection: asyncpg.Connection) -> "Function":
        text = FUNCTION.replace("create function write_round", f"create or replace function {self.name}")
        await connection.execute(text.replace("language plpgsql", f"language plpgsql {self.settings}"))
        self.statement = await connection.prepare(CALL.replace("write_round", self.name))
        return self

    async def write(self, batch: Batch) -> None:
        _, held, updated, taken = (await self.statement.fetch(*arguments(batch)))[0]
        assert len(held) == len(batch.partitions)
        assert [updated, taken] == [len(batch.progress[0]), len(batch.consumed)]


class GuardedFunction(Function):
    """The planner's settings belong to the function, so that they hold behind a pooler as well."""

    name = "write_round_guarded"
    settings = "set plan_cache_mode = force_generic_plan set enable_seqscan = off"


class Copied(Separate):
    """As ``Separate``, the inserts by COPY."""

    async def write(self, batch: Batch) -> None:
        fence, progress, _, _, ended, _, consumed = self.statements
        connection = self.connection
        history = [batch.history[0], *batch.history[2:]]
        await connection.execute("begin")
        await fence.fetch(batch.partitions, batch.epochs)
        await progress.fetch(*batch.progress)
        await connection.copy_records_to_table("history", records=zip(*history, strict=True))
        await connection.copy_records_to_table("activity", records=zip(*batch.activities, strict=True))
        await ended.fetch(batch.ended_activities)
        await connection.copy_records_to_table("inbox", records=zip(*batch.messages, strict=True))
        await consumed.fetch(batch.consumed)
        await connection.execute("commit")
