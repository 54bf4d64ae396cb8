"""Creating instances, of partitions held here and of others."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from enum import Enum
from functools import partial

from perdure.contracts.errors import LeaseLost
from perdure.contracts.records import CreateOutcome, DamagedInstance, Replaceable, StoredInstance, may_replace
from perdure.core.checkpoint import Creation
from perdure.core.decisions import leave_sections
from perdure.core.instance import Instance
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Numbers, create
from perdure.storage.shared.errands import Errands
from perdure.storage.shared.holding import Holding
from perdure.storage.shared.ownership import Ownership
from perdure.storage.shared.statuses import StatusReads
from perdure.storage.shared.tables import IdsTaken
from perdure.storage.shared.transacting import Transacting

UNSETTLED_SECONDS = 0.05
"""How soon to look again at a partition that is just changing hands."""


class _Verdict(Enum):
    """What became of one attempt, besides coming true."""

    EXISTS = "an instance that may not be replaced has the id"
    BEATEN = "somebody else was quicker"
    UNSETTLED = "its partition is changing hands"


class Creating:
    """Implements ``create_instance``.

    The status read first decides nothing: the insert does. What it says is what the insert then asks: that the id is
    still free, or its instance still ended.
    """

    def __init__(
        self,
        holding: Holding,
        ownership: Ownership,
        statuses: StatusReads,
        transacting: Transacting,
        numbers: Numbers,
        load: Callable[[Collection[str]], Awaitable[dict[str, StoredInstance | DamagedInstance]]],
    ) -> None:
        self.errands: Errands
        self._load = load
        self._holding = holding
        self._ownership = ownership
        self._statuses = statuses
        self._transacting = transacting
        self._numbers = numbers
        self._replacing_ended: set[str] = set()
        """Ids whose creation, admitted and without a row, replaces an instance that has ended."""

    async def create(self, creation: Creation, reuse: Replaceable) -> CreateOutcome:
        """As ``Inboxes.create_instance``."""
        instance_id = creation.record.origin.instance_id
        is_free = creation.has_new_id
        while True:
            status = None if is_free else await self._status_for(instance_id, reuse)
            is_free = False
            if isinstance(status, _Verdict):
                return CreateOutcome.EXISTS
            partition = self._holding.partition_of(instance_id)
            if partition in self._holding.leases:
                outcome = await self._admit(creation, status, partition)
            elif status is None or status.is_terminal:
                outcome = await self._insert(creation, status)
            else:
                outcome = await self._let_owner_do(creation, reuse, partition)
            if isinstance(outcome, CreateOutcome):
                return outcome
            if outcome is _Verdict.BEATEN and not may_replace(reuse, RuntimeStatus.Pending):
                # It lived while this call was waiting.
                return CreateOutcome.EXISTS

    async def create_here(self, creation: Creation, reuse: Replaceable) -> CreateOutcome | None:
        """For another process; None when we do not hold the partition (any more) or somebody else was quicker."""
        instance_id = creation.record.origin.instance_id
        status = await self._status_for(instance_id, reuse)
        if isinstance(status, _Verdict):
            return CreateOutcome.EXISTS
        partition = self._holding.partition_of(instance_id)
        if partition not in self._holding.leases:
            return None
        outcome = await self._admit(creation, status, partition)
        return outcome if isinstance(outcome, CreateOutcome) else None

    def ended_before(self, changes: Changes) -> list[str]:
        """Those of the replaced ids that are free to be replaced only if their instance has ended."""
        return [instance_id for instance_id in changes.replaced if instance_id in self._replacing_ended]

    def needs_owner(self, creation: Creation) -> bool:
        """Whether this admitted creation replaces a living instance."""
        return creation.replaces and creation.record.origin.instance_id not in self._replacing_ended

    async def _status_for(self, instance_id: str, reuse: Replaceable) -> RuntimeStatus | _Verdict | None:
        """The status of what has the id, once nobody here is creating it; EXISTS when it may not be replaced."""
        claims = self._holding.claims
        while True:
            while instance_id in claims:
                if await claims.wait(instance_id) and not may_replace(reuse, RuntimeStatus.Pending):
                    return _Verdict.EXISTS
            status = await self._statuses.status_of(instance_id)
            if instance_id not in claims:
                break
        return status if status is None or may_replace(reuse, status) else _Verdict.EXISTS

    async def _admit(
        self, creation: Creation, status: RuntimeStatus | None, partition: int
    ) -> CreateOutcome | _Verdict:
        """Through memory: whoever runs the partition makes it true with its first episode."""
        holding = self._holding
        instance_id = creation.record.origin.instance_id
        creation.replaces = status is not None
        saved = holding.admit(creation.start, creation, partition)
        holding.claims.add(instance_id)
        if status is not None and status.is_terminal:
            self._replacing_ended.add(instance_id)
            saved.add_done_callback(partial(self._is_over, instance_id))
        # Not cancelled with its client: it is still to be written or consumed.
        if not await asyncio.shield(saved):
            return _Verdict.BEATEN
        return CreateOutcome.REPLACED if creation.replaces else CreateOutcome.CREATED

    def _is_over(self, instance_id: str, _: object) -> None:
        self._replacing_ended.discard(instance_id)

    async def _insert(self, creation: Creation, status: RuntimeStatus | None) -> CreateOutcome | _Verdict:
        """As rows, for whoever holds or will hold the partition."""
        changes = Changes()
        creation.replaces = status is not None
        create(changes, creation, self._numbers)
        changes.replaced_if_ended = list(changes.replaced)
        self._holding.claims.add(creation.record.origin.instance_id)
        try:
            await self._transacting.write_messages(changes, {})
        except IdsTaken:
            return _Verdict.BEATEN
        return CreateOutcome.CREATED if status is None else CreateOutcome.REPLACED

    async def _let_owner_do(self, creation: Creation, reuse: Replaceable, partition: int) -> CreateOutcome | _Verdict:
        """Over a living instance of a partition that is not ours."""
        process = await self._ownership.process()
        owner = self._ownership.owner_of(partition)
        if owner is None:
            async with self._ownership.borrowed(partition) as epoch:
                if epoch is not None:
                    return await self._replace(creation, {partition: epoch})
        elif owner != process:
            asked = await self.errands.ask(creation, reuse, process=process, partition=partition, owner=owner)
            return _Verdict.UNSETTLED if asked is None else asked
        await asyncio.sleep(UNSETTLED_SECONDS)
        return _Verdict.UNSETTLED

    async def _replace(self, creation: Creation, fence: dict[int, int]) -> CreateOutcome | _Verdict:
        """Nobody runs what is replaced, so it is read what that has locked."""
        instance_id = creation.record.origin.instance_id
        found = (await self._load([instance_id])).get(instance_id)
        if isinstance(found, StoredInstance) and not found.record.progress.status.is_terminal:
            sections = Instance.loaded(found.record, found.history).sections
            # Locks may have been taken since the caller looked; letting go of one twice changes nothing.
            known = [(envelope.target, envelope.message) for envelope in creation.releases]
            more = leave_sections(instance_id, sections)
            creation.releases = [*creation.releases, *(e for e in more if (e.target, e.message) not in known)]
        changes = Changes()
        creation.replaces = found is not None
        create(changes, creation, self._numbers)
        self._holding.claims.add(instance_id)
        try:
            await self._transacting.write_messages(changes, fence)
        except (LeaseLost, IdsTaken):
            return _Verdict.UNSETTLED
        return CreateOutcome.REPLACED if creation.replaces else CreateOutcome.CREATED
