"""Joins server, lines and statements into ``SharedTables``."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from perdure.contracts.errors import HistoryCorrupted, Unavailable
from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import ClaimedOffer, Offer, OfferAnswer, OfferKey, OfferState
from perdure.contracts.records import (
    Backlog,
    DamagedInstance,
    EndedFilter,
    EndedKey,
    EndedPage,
    Finding,
    InstanceFilter,
    Page,
    PageKey,
    StoredInstance,
)
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Outcome, Placed
from perdure.storage.filters import PurgeKey, purge_filter
from perdure.storage.options import Access, StorageOptions
from perdure.storage.pages import first_page
from perdure.storage.postgres import pages, reading
from perdure.storage.postgres.address import Pooler, read_address
from perdure.storage.postgres.copies import refuse_half
from perdure.storage.postgres.fenced import Fenced
from perdure.storage.postgres.hints import Hints
from perdure.storage.postgres.lines import Line, Lines, Rows
from perdure.storage.postgres.lookups import Lookups
from perdure.storage.postgres.meanings import LOST_ERRORS, unusable
from perdure.storage.postgres.rights import check_rights
from perdure.storage.postgres.schema import Schema
from perdure.storage.postgres.server import Server
from perdure.storage.postgres.timelines import Timelines
from perdure.storage.postgres.verifying import Verification
from perdure.storage.postgres.writing import Writing, finished_offers
from perdure.storage.rows import micros
from perdure.storage.shared.tables import (
    Arrived,
    Epochs,
    Errand,
    Hint,
    PartitionRow,
    ProcessRow,
    Sight,
)

READERS = 4
READ_SECONDS_MAX = 30.0
WRITE_SECONDS_MAX = 30.0
KEEP_SECONDS_MAX = 3.0
"""Renewing must end well before the lease does."""
NUMBERS_BITS = 32
"""A block of numbers is so long that a process needs one in its life."""

_NOTHING = Outcome()
_read_json = msgspec.json.decode


class PostgresTables:
    """Implements ``SharedTables``.

    One connection writes, a call at a time; one renews, so that no long write delays it; a few read; one listens and
    tells. Each is made when it is needed.
    """

    def __init__(self, url: str, hub: str, options: StorageOptions) -> None:
        """Raises StoreUnusable for a URL or a hub name that cannot be one."""
        self._address = read_address(url)
        self._schema = Schema(hub)
        self._sql = self._schema.sql
        self._place = f"{self._address.shown}, hub '{hub}'"
        self._hub = hub
        self._options = options
        self._count = 0
        self._server: Server | None = None

    def describe(self) -> str:
        described = f"store {self._place}, durability {self._options.durability.value}"
        if self._server is not None:
            described += f", PostgreSQL {self._server.version}, {self._count} partitions"
            if self._server.is_pooled:
                described += ", behind a transaction pooler: no notifications, looks 10 times a second"
            elif self._server.pooler is Pooler.SESSION:
                described += ", behind a pooler that keeps sessions"
            described += "".join(f"; WARNING: {warning}" for warning in self._server.warnings)
        return described

    @property
    def partition_count(self) -> int:
        return self._count

    # Life

    async def open(self) -> None:
        options = self._options
        server = Server(self._address, self._place, f"perdure {self._hub}", options.durability)
        first, second = await server.first_connections(WRITE_SECONDS_MAX, KEEP_SECONDS_MAX)
        try:
            count = await self._schema.ready(first, self._place, options.access, options.partitions)
            await check_rights(first, self._schema, self._place, options.access)
            await refuse_half(first, self._schema, self._place)
            if options.access is Access.HOLD:
                await first.execute(self._sql["forget_foreign_xids"])
        except (asyncpg.PostgresError, *LOST_ERRORS) as error:
            first.terminate()
            second.terminate()
            raise unusable(error, self._place) from error
        except BaseException:
            first.terminate()
            second.terminate()
            raise
        self._server, self._count = server, count
        writer = Line(server, WRITE_SECONDS_MAX, first)
        self._fenced = Fenced(server, writer, self._sql["resolve"], self._is_left_behind)
        self._keeper = Line(server, KEEP_SECONDS_MAX, second)
        self._timelines = Timelines(self._keeper, self._place)
        self._checked = 0
        self._readers = readers = Lines(server, READERS, READ_SECONDS_MAX)
        self._lookups = Lookups(lambda ids: readers.ask(self._sql["instances_by_id"], ids))
        self._hints = Hints(server, self._schema.name, notify=self._sql["notify"], look=self._sql["look"])
        self._writer = writer

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await self._hints.close()
            await asyncio.gather(self._writer.close(), self._keeper.close(), self._readers.close())

    # Processes and partitions

    async def announce(self, name: str, lease_seconds: float) -> int:
        self._check_writable()
        rows = await self._keeper.ask_twice(self._sql["announce"], name, lease_seconds)
        number: int = rows[0][0]
        await self._timelines.begin(number)
        self._fenced.begin(number)
        return number

    async def renew(self, process: int, lease_seconds: float, *, runs: bool) -> Sight | None:
        [row] = await self._keeper.ask_twice(self._sql["renew"], process, lease_seconds, runs)
        # A connection ends with its timeline, but for one to a pooler.
        if self._keeper.made != self._checked or self._reachable().is_pooled:
            made = self._keeper.made
            if await self._is_left_behind(process):
                return None
            self._checked = made
        return None if row["at"] is None else _sight(row)

    async def bury(self, process: int) -> bool:
        rows = await self._keeper.ask_twice(self._sql["bury"], process)
        return rows[0][0]

    async def depart(self, process: int) -> None:
        await self._keeper.ask_twice(self._sql["depart"], process)

    async def claim(self, process: int, partitions: Collection[int]) -> Mapping[int, int]:
        def told(rows: Rows) -> dict[int, int]:
            numbers, epochs = rows[0]
            return dict(zip(numbers or (), epochs or (), strict=True))

        return await self._fenced.call(process, self._sql["claim"], list(partitions), told=told)

    async def give_back(self, process: int, epochs: Epochs) -> None:
        await self._fenced.call(process, self._sql["give_back"], list(epochs), list(epochs.values()), told=_ignored)

    async def reserve_numbers(self) -> range:
        rows = await self._keeper.ask_twice(self._sql["reserve_numbers"])
        block: int = rows[0][0]
        return range(block << NUMBERS_BITS, (block + 1) << NUMBERS_BITS)

    # Writing

    async def write(self, process: int, changes: Changes, fence: Epochs) -> Outcome:
        try:
            arguments = Writing(self._count, fence).arguments(changes)
        except UnicodeEncodeError as error:
            raise reading.refused_text(error) from error
        taken = frozenset(child.position for child in changes.children if child.taken) if changes.children else None

        def outcome(created_elsewhere: Sequence[int] | None, purged: Sequence[str] | None) -> Outcome:
            if not (created_elsewhere or purged or taken):
                return _NOTHING
            return Outcome((taken or frozenset()).union(created_elsewhere or ()), frozenset(purged or ()))

        def kept(answer: str | None) -> Outcome:
            left: dict[str, Any] = _read_json(answer) if answer else {}
            return outcome(left.get("taken"), left.get("purged"))

        def told(rows: Rows) -> Outcome:
            return outcome(*rows[0])

        return await self._fenced.call(process, self._sql["write"], *arguments, told=told, kept=kept)

    # Reading for owners

    async def recover(self, partitions: Collection[int], now: datetime, horizon: datetime) -> tuple[Backlog, int]:
        async with self._readers.line() as line, line.snapshot() as connection:
            return await reading.read_backlog(connection, self._sql, self._place, partitions, now, horizon)

    async def arrivals(self, partitions: Collection[int], mark: int) -> Arrived:
        rows = await self._readers.ask(self._sql["arrivals"], list(partitions), mark)
        return reading.read_arrived(rows, self._place)

    async def read_due(self, partitions: Collection[int], after: datetime, until: datetime) -> list[Envelope]:
        rows = await self._readers.ask(self._sql["due_messages"], list(partitions), micros(after), micros(until))
        return reading.read_envelopes(rows, self._place)

    async def read_inbox(self, instance_id: str, now: datetime) -> list[Envelope]:
        partition = partition_of(instance_id, self._count)
        rows = await self._readers.ask(self._sql["messages_to"], partition, instance_id, micros(now))
        return reading.read_envelopes(rows, self._place)

    async def load(self, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        rows = await self._readers.ask(self._sql["load"], reading.storable(instance_ids))
        return {row[1]: reading.read_stored(row) for row in rows}

    # Reading for everybody

    async def statuses_of(self, instance_ids: Collection[str]) -> dict[str, RuntimeStatus]:
        rows = await self._readers.ask(self._sql["statuses_of"], reading.storable(instance_ids))
        return {instance_id: RuntimeStatus(status) for instance_id, status in rows}

    async def get(self, instance_id: str) -> InstanceRecord | None:
        if not reading.is_storable(instance_id):
            return None
        return reading.read_record(await self._lookups.row_of(instance_id))

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        match (await self.load([instance_id])).get(instance_id):
            case StoredInstance(history=history):
                return history
            case DamagedInstance(reason=reason):
                raise HistoryCorrupted(instance_id, reason)
            case None:
                return []

    async def query(self, filter_: InstanceFilter, limit: int, after: PageKey | None) -> Page:
        if not reading.is_storable(filter_.id_prefix, filter_.name):
            return Page([])
        few = await self._few_ids(filter_.id_prefix)
        text, parameters = pages.page_query(self._sql, filter_, limit + 1, after, few)
        return first_page(map(reading.told_record, await self._readers.ask(text, *parameters)), limit)

    async def ended(self, filter_: EndedFilter, limit: int, after: EndedKey | None) -> EndedPage:
        text, parameters = pages.ended_query(self._sql["ended"], filter_, limit + 1, after)
        return reading.read_ended(await self._readers.ask(text, *parameters), limit)

    async def backlog_sizes(self, instance_ids: Collection[str]) -> dict[str, int]:
        ids = reading.storable(instance_ids)
        rows = await self._readers.ask(self._sql["backlog_sizes"], [partition_of(i, self._count) for i in ids], ids)
        return {target: count for target, count in rows}

    async def purgeable(self, filter_: InstanceFilter, limit: int, after: PurgeKey | None) -> list[PurgeKey]:
        narrowed = purge_filter(filter_)
        if narrowed is None or not reading.is_storable(filter_.id_prefix, filter_.name):
            return []
        text, parameters = pages.purge_query(self._sql["purgeable"], narrowed, limit, after)
        return [(created_at, instance_id) for created_at, instance_id in await self._readers.ask(text, *parameters)]

    async def verify(self, liveness: bool) -> AsyncIterator[Finding]:
        """On a connection of its own, whose statements may take long."""
        line = Line(self._reachable(), 10 * READ_SECONDS_MAX)
        try:
            async with line.snapshot() as connection:
                verification = Verification(connection, self._sql, self._count, liveness)
                async for finding in verification.findings():
                    yield finding
        finally:
            await line.close()

    # Offers

    async def offer(self, process: int, offers: Sequence[Offer], fence: Epochs) -> None:
        rows = [_offer_row(offer) for offer in offers]
        fences = list(fence), list(fence.values())
        await self._fenced.call(process, self._sql["offer"], *fences, rows, told=_ignored)

    async def offer_claimed(self, process: int, offers: Sequence[Offer], fence: Epochs) -> list[ClaimedOffer]:
        def kept(answer: str | None) -> list[ClaimedOffer]:
            token, *numbers = _read_json(answer or "[0]")
            new = frozenset(numbers)
            return [ClaimedOffer(offer, token) for offer in offers if offer.number in new]

        def told(rows: Rows) -> list[ClaimedOffer]:
            return kept(rows[0][0])

        rows = [_offer_row(offer) for offer in offers]
        fences = list(fence), list(fence.values())
        return await self._fenced.call(process, self._sql["offer_claimed"], *fences, rows, told=told, kept=kept)

    async def waiting_offers(self) -> list[OfferKey]:
        rows = await self._readers.ask(self._sql["waiting_offers"])
        return [OfferKey(ServedKind(kind), name, version) for kind, name, version in rows]

    async def claim_offers(self, process: int, keys: Collection[OfferKey], limit: int) -> list[ClaimedOffer]:
        wanted = [(key.kind.value, key.name, key.version or "") for key in keys]
        columns = [list(column) for column in zip(*wanted, strict=True)] or [[], [], []]
        return await self._fenced.call(process, self._sql["claim_offers"], *columns, limit, told=_claimed)

    async def finish_offers(
        self, process: int, finished: Sequence[tuple[ClaimedOffer, Placed | OfferAnswer]]
    ) -> frozenset[int]:
        arguments = finished_offers(finished, Writing(self._count, {}))
        return await self._fenced.call(
            process, self._sql["finish_offers"], *arguments, told=_told_numbers, kept=_kept_numbers
        )

    async def offers_of(self, instance_id: str) -> list[OfferState]:
        if not reading.is_storable(instance_id):
            return []
        rows = await self._readers.ask(self._sql["offers_of"], partition_of(instance_id, self._count), instance_id)
        return [OfferState(ServedKind(kind), name, doer) for kind, name, doer in rows]

    async def give_up_offers(self, claimed: Sequence[ClaimedOffer]) -> None:
        numbers, tokens = [one.offer.number for one in claimed], [one.token for one in claimed]
        await self._readers.ask(self._sql["give_up_offers"], numbers, tokens)

    async def take_answers(self, partitions: Collection[int]) -> list[OfferAnswer]:
        rows = await self._readers.ask(self._sql["take_answers"], list(partitions))
        return [OfferAnswer(number, body) for number, body in rows]

    async def withdraw(self, process: int, numbers: Collection[int], fence: Epochs) -> frozenset[int]:
        return await self._fenced.call(
            process,
            self._sql["withdraw"],
            list(fence),
            list(fence.values()),
            list(numbers),
            told=_told_numbers,
            kept=_kept_numbers,
        )

    # Errands

    async def leave_errand(self, errand: Errand) -> None:
        row = errand.number, errand.asker, errand.partition, errand.body
        await self._readers.ask(self._sql["leave_errand"], *row)

    async def errands(self, partitions: Collection[int]) -> list[Errand]:
        rows = await self._readers.ask(self._sql["errands"], list(partitions))
        return [Errand(number=n, asker=asker, partition=p, body=body) for n, asker, p, body in rows]

    async def answer_errand(self, number: int, body: str) -> None:
        await self._readers.ask(self._sql["answer_errand"], number, body)

    async def collect_errands(self, process: int) -> dict[int, str]:
        rows = await self._readers.ask(self._sql["answered_errands"], process)
        if rows:
            await self._readers.ask(self._sql["drop_errands"], [row[0] for row in rows])
        return {number: answer for number, answer in rows}

    async def drop_errand(self, number: int) -> None:
        await self._readers.ask(self._sql["drop_errands"], [number])

    # Hints

    async def hint(self, process: int, hint: Hint) -> None:
        await self._hints.tell(process, hint)

    def listen(self, process: int, heard: Callable[[Hint], None]) -> None:
        self._hints.listen(process, heard)

    # Below

    def _check_writable(self) -> None:
        if self._options.access is Access.READ_ONLY:
            raise Unavailable("The store was opened to be read only.")

    async def _is_left_behind(self, process: int) -> bool:
        """Whether the server is on another timeline than when this number began; it is nobody's number then."""
        if not await self._timelines.is_left(process):
            return False
        await self.depart(process)
        return True

    def _reachable(self) -> Server:
        if self._server is None:
            raise Unavailable(f"The store at {self._place} is not open.")
        return self._server

    async def _few_ids(self, prefix: str | None) -> tuple[str, str] | None:
        """The bounds of the ids that begin so; None when they are many."""
        bounds = pages.prefix_bounds(prefix)
        if bounds is None:
            return None
        rows = await self._readers.ask(self._sql["ids_between"], *bounds, pages.FEW_IDS + 1)
        return bounds if rows[0][0] <= pages.FEW_IDS else None


def _ignored(rows: Rows) -> None:
    return None


def _told_numbers(rows: Rows) -> frozenset[int]:
    return frozenset(rows[0][0])


def _kept_numbers(answer: str | None) -> frozenset[int]:
    return frozenset(_read_json(answer or "[]"))


def _offer_row(offer: Offer) -> tuple[int, str, str, str | None, str, int, str]:
    """As ``hub.offer_1``."""
    return (
        offer.number, offer.kind.value, offer.name, offer.version, offer.instance_id, offer.partition, offer.body,
    )  # fmt: skip


def _claimed(rows: Rows) -> list[ClaimedOffer]:
    return [
        ClaimedOffer(
            Offer(
                number=number,
                kind=ServedKind(kind),
                name=name,
                version=version,
                instance_id=instance_id,
                partition=partition,
                body=body,
            ),
            token,
        )
        for number, kind, name, version, instance_id, partition, body, token in rows
    ]


def _sight(row: Any) -> Sight:
    processes = zip(row["process_numbers"], row["process_names"], row["alive"], row["runs"], strict=True)
    partitions = zip(row["partitions"], row["epochs"], row["owners"], strict=True)
    return Sight(
        now=row["at"],
        processes=[ProcessRow(*values) for values in processes],
        partitions=[PartitionRow(*values) for values in partitions],
        has_arrivals=row["has_arrivals"],
        has_offers=row["has_offers"],
        has_errands=row["has_errands"],
    )
