"""Messages → the live instances they are for: found in memory, loaded from the store, or made by the message."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial

from perdure.contracts.observer import Fact, InstanceDamaged, MessageDropped
from perdure.contracts.records import Answer, DamagedInstance, Round, StoredInstance
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Creation
from perdure.core.control import refused_rewind, takes_rewind
from perdure.core.decisions import leave_sections
from perdure.core.events import HistoryEvent
from perdure.core.identifiers import is_entity, read_entity_id
from perdure.core.instance import Instance, InstanceKind, InstanceRecord, Origin, Progress
from perdure.core.messages import Envelope, LockRequest, OperationRequest, Rewind, StartExecution, Terminate
from perdure.core.receiving import concerns_other
from perdure.core.status import RuntimeStatus
from perdure.engine.due_messages import DueMessages
from perdure.engine.entity_episode import LiveEntity
from perdure.engine.held_partitions import HeldPartitions
from perdure.engine.live import LiveInstance
from perdure.engine.live_instances import LiveInstances
from perdure.engine.options import EngineOptions
from perdure.engine.orchestration_episode import LiveOrchestration
from perdure.engine.patience import until_available

FINISHED_REMEMBERED = 10_000
LOADS_FIRST, LOADS_MAX = 256, 10_000
"""So many instances at most are loaded in a round, at first and when they turn out to be small."""
_MAKE_ENTITIES = frozenset[type]({OperationRequest, LockRequest})


class Router:
    """Brings messages to their instances."""

    def __init__(
        self,
        held: HeldPartitions,
        storage: Storage,
        live: LiveInstances,
        due: DueMessages,
        options: EngineOptions,
        announce: Callable[[Fact], None],
        recall: Callable[[LiveInstance], bool],
    ) -> None:
        self._held = held
        self._storage = storage
        self._live = live
        self._due = due
        self._options = options
        self._announce = announce
        self._recall = recall
        """Take back the turn that an instance has out; answers whether that was possible."""
        self._finished: OrderedDict[str, str] = OrderedDict()
        """Ids that ended a while ago → their execution, so that a late message costs no load. Empty where another
        process may have given such an id to a new instance."""
        self._damaged: set[str] = set()
        self._postponed: list[Envelope] = []
        self._loads_now = LOADS_FIRST
        self.loaded_bytes = 0
        """How much has come into memory since somebody last looked whether that is too much."""
        self._unread: list[Creation] = []
        """Creations that replace what is not in memory: what it has locked is not known yet."""

    async def route(self, envelopes: Sequence[Envelope], now: datetime, round_: Round) -> list[LiveInstance]:
        """Put each message into its instance's queue; returns the instances that can have an episode now.

        What nobody takes goes to ``round_.discarded``; what must wait and has no row to ``round_.kept``.
        """
        ready: dict[str, LiveInstance] = {}
        absent: dict[str, list[Envelope]] = {}
        renewed: set[str] = set()
        renewed_later: set[str] = set()
        """Ids that a start of this round gives to what begins later."""
        for envelope in envelopes:
            target = envelope.target
            start = envelope.message if type(envelope.message) is StartExecution else None
            if start is not None and self._finished.get(target) != start.execution_id:
                # What had the id is gone, even when what has it now begins later.
                self._finished.pop(target, None)
                renewed.add(target)
            if target in renewed_later:
                # What has the id from this round on is not in the store yet: these come again after the commit.
                if envelope.position is None:
                    round_.kept.append(envelope)
                self._postponed.append(envelope)
                continue
            if envelope.due_at is not None and envelope.due_at > now:
                if envelope.position is None:
                    round_.kept.append(envelope)
                self._due.add(envelope)
                if start is not None and (creation := self._new_creation(envelope, start)) is not None:
                    renewed_later.add(target)
                    ready.pop(target, None)
                    self._release_locks(creation)
                    self._let_go(target, absent.pop(target, ()), round_)
                continue
            if start is not None:
                self._create(envelope, start, absent, round_)
            live = self._live.get(target)
            if live is not None:
                if live.turn is None:
                    live.queue.append(envelope)
                    ready[target] = live
                else:
                    self._interrupt(live, envelope, ready, absent, round_)
            elif target in self._finished and type(envelope.message) is not Rewind:
                self.drop(envelope, "the instance has ended", round_)
            else:
                absent.setdefault(target, []).append(envelope)
        if self._unread:
            await self._read_locks()
        if absent:
            await self._load(absent, now, ready, round_)
            for target in renewed:
                # What was loaded may be what was there before this round.
                self._finished.pop(target, None)
        return list(ready.values())

    def postpone(self, envelopes: Sequence[Envelope]) -> None:
        """These are to be routed after the round's commit."""
        self._postponed += envelopes

    def take_postponed(self) -> list[Envelope]:
        """What could not be routed in the newest round and can be after its commit, once."""
        postponed, self._postponed = self._postponed, []
        return postponed

    def forget(self, is_gone: Callable[[str], bool]) -> None:
        """These instances are somebody else's now: whatever is known of them may change without being told."""
        for instance_id in [instance_id for instance_id in self._finished if is_gone(instance_id)]:
            del self._finished[instance_id]
        self._damaged = {instance_id for instance_id in self._damaged if not is_gone(instance_id)}
        self._postponed = [envelope for envelope in self._postponed if not is_gone(envelope.target)]

    def replaces(self, envelope: Envelope) -> bool:
        """Whether it is a start without a row that takes the place of another instance."""
        creation = self._storage.creation_of(envelope) if type(envelope.message) is StartExecution else None
        return creation is not None and creation.replaces

    def withdraw(self, start: Envelope) -> None:
        """A start that begins later makes nothing, since another process has taken its id."""
        self._due.remove(start)

    def finished(self, live: LiveInstance) -> None:
        """The instance has ended and its end is durable."""
        self._live.remove(live)
        if is_entity(live.instance_id):
            # It comes back with its next operation.
            return
        self._due.forget(live.instance_id)
        self._remember_end(live)
        if len(self._finished) > FINISHED_REMEMBERED:
            self._finished.popitem(last=False)

    def _remember_end(self, live: LiveInstance) -> None:
        if not self._storage.has_others:
            self._finished[live.instance_id] = live.execution_id

    def _create(
        self, envelope: Envelope, start: StartExecution, absent: dict[str, list[Envelope]], round_: Round
    ) -> None:
        """Make the new instance if the message does; it takes the place of whatever had the id."""
        creation = self._new_creation(envelope, start)
        if creation is None:
            return
        self._release_locks(creation)
        former = self._live.get(envelope.target)
        live = self._orchestration(creation.record, ())
        # Dropped with the new one's first commit: until then the former is what is stored, and may come back.
        left = absent.pop(envelope.target, [])
        if former is not None:
            left += self._recalled(former)
            self._live.remove(former)
            _keep_no_more(former.queue, round_)
            left += former.queue
            former.queue = []
        live.left_behind = self._without_rewinds(left, round_)
        self._live.add(live)

    def _new_creation(self, envelope: Envelope, start: StartExecution) -> Creation | None:
        """The creation of this process that the message belongs to, unless what it makes is in memory."""
        live = self._live.get(envelope.target)
        if live is not None and live.execution_id == start.execution_id:
            return None
        return self._storage.creation_of(envelope)

    def _release_locks(self, creation: Creation) -> None:
        """What had the id lets go of what it has locked, as of now, in the commit that replaces it."""
        if not creation.replaces:
            return
        former = self._live.get(creation.start.target)
        if former is None:
            self._unread.append(creation)
        elif isinstance(former, LiveOrchestration):
            creation.releases = former.releases()

    async def _read_locks(self) -> None:
        """The same for those that are not in memory."""
        unread, self._unread = self._unread, []
        for creation in unread:
            target = creation.start.target
            record = await until_available(partial(self._storage.get, target))
            if record is None or record.progress.status.is_terminal:
                continue
            stored = await self._held.load([target])
            if isinstance(found := stored.get(target), StoredInstance):
                creation.releases = leave_sections(target, Instance.loaded(found.record, found.history).sections)

    def _let_go(self, target: str, left: Sequence[Envelope], round_: Round) -> None:
        """What had the id is replaced, with all that it has not taken and what is ``left`` for it."""
        live = self._live.get(target)
        if live is not None:
            left = [*left, *self._recalled(live), *live.queue]
            self._live.remove(live)
            # Its turn may have been about to come.
            _keep_no_more(live.queue, round_)
            live.queue = []
        for former in left:
            self.drop(former, "the instance was replaced", round_)

    def _recalled(self, live: LiveInstance) -> list[Envelope]:
        """What the turn of an instance that is replaced had in hand, if nobody will begin it; it has rows."""
        if live.turn is None or not self._recall(live):
            return []
        live.turn = None
        return live.in_hand()

    def _interrupt(
        self,
        live: LiveInstance,
        envelope: Envelope,
        ready: dict[str, LiveInstance],
        absent: dict[str, list[Envelope]],
        round_: Round,
    ) -> None:
        """A message for an instance whose turn is out: it waits, unless the turn comes back or has lost its use."""
        message = envelope.message
        if live.may_take_back(message) and self._recall(live):
            live.take_back(envelope)
            ready[live.instance_id] = live
        elif isinstance(message, Terminate) and message.at_once and live.can_be_left():
            # What is stored goes on without it; its turn ends as that of an instance that was replaced.
            left = live.leave()
            # What was to wait for the turn is taken, or dropped, with its end.
            _keep_no_more(left, round_)
            absent[live.instance_id] = [*left, envelope]
            self._live.remove(live)
        else:
            live.queue.append(envelope)
            if envelope.position is None:
                round_.kept.append(envelope)

    async def _load(
        self, absent: dict[str, list[Envelope]], now: datetime, ready: dict[str, LiveInstance], round_: Round
    ) -> None:
        if len(absent) > self._loads_now:
            self._load_later(absent, round_)
        stored = await self._held.load(absent.keys())
        self._note_loaded(stored.values())
        if self._held.lost:
            absent = {target: envelopes for target, envelopes in absent.items() if self._held.has(target)}
        for target, envelopes in absent.items():
            found = stored.get(target)
            if isinstance(found, DamagedInstance):
                if target not in self._damaged:
                    self._damaged.add(target)
                    self._announce(InstanceDamaged(target, found.reason))
                round_.kept.extend(e for e in envelopes if e.position is None)
                continue
            if found is not None:
                live = self._live_of(found.record, found.history, found.history_bytes)
            elif is_entity(target) and any(type(e.message) in _MAKE_ENTITIES for e in envelopes):
                live = self._live_of(_new_entity(target, now), ())
            else:
                for envelope in envelopes:
                    self.drop(envelope, "there is no such instance", round_)
                continue
            if live.is_finished():
                assert found is not None
                self._remember_end(live)
                envelopes = await self._after_end(found.record, envelopes, now, round_)
                if not envelopes:
                    continue
            self._live.add(live)
            for envelope in envelopes:
                if not live.leave_behind(envelope):
                    live.queue.append(envelope)
                    ready[target] = live

    def _load_later(self, absent: dict[str, list[Envelope]], round_: Round) -> None:
        """Leave the youngest of these to the next round."""
        for target in list(absent)[self._loads_now :]:
            envelopes = absent.pop(target)
            round_.kept.extend(e for e in envelopes if e.position is None)
            self._postponed += envelopes

    def _note_loaded(self, loaded: Collection[StoredInstance | DamagedInstance]) -> None:
        size = sum(found.history_bytes for found in loaded if isinstance(found, StoredInstance))
        size += sum(len(found.record.progress.state or "") for found in loaded)
        self.loaded_bytes += size
        bound = self._options.loaded_bytes
        if size > bound:
            self._loads_now = max(1, len(loaded) * bound // size)
        elif len(loaded) >= self._loads_now and size * 2 <= bound:
            self._loads_now = min(self._loads_now * 2, LOADS_MAX)

    async def _after_end(
        self, record: InstanceRecord, envelopes: list[Envelope], now: datetime, round_: Round
    ) -> list[Envelope]:
        """What an instance that has ended takes: a rewind, and what was sent after it."""
        taken: list[Envelope] = []
        target = record.origin.instance_id
        rows: set[int | None] = {None}
        if any(type(envelope.message) is Rewind for envelope in envelopes):
            found = await self._held.read_inbox(target, now)
            if not self._held.has(target):
                # That nothing was read says nothing, then.
                return []
            rows.update(row.position for row in found)
        for envelope in envelopes:
            message = envelope.message
            if not (taken or (isinstance(message, Rewind) and takes_rewind(record, message))):
                self.drop(envelope, "the instance has ended", round_)
            elif envelope.position in rows:
                taken.append(envelope)
            elif isinstance(message, Rewind) and not concerns_other(record.origin, message):
                # Its row went with the instance's end, which came after it and has answered its parent.
                round_.discarded.append(envelope)
            else:
                self.drop(envelope, "the instance has ended", round_)
        if taken:
            self._finished.pop(target, None)
        return taken

    def _live_of(self, record: InstanceRecord, history: Sequence[HistoryEvent], history_bytes: int = 0) -> LiveInstance:
        if record.origin.kind is InstanceKind.ENTITY:
            return LiveEntity(record, self._options.entity_batch_max, self._options.decisions.default_version)
        return self._orchestration(record, history, history_bytes)

    def replaced(self, live: LiveInstance, round_: Round) -> None:
        """A turn ended of what was replaced meanwhile: what it has in hand goes with it."""
        successor = self._live.get(live.instance_id)
        if isinstance(successor, LiveOrchestration) and not successor.instance.started:
            successor.left_behind += self._without_rewinds(live.in_hand(), round_)
        else:
            for envelope in live.in_hand():
                self.drop(envelope, "the instance was replaced", round_)

    def _orchestration(
        self, record: InstanceRecord, history: Sequence[HistoryEvent], history_bytes: int = 0
    ) -> LiveOrchestration:
        options = self._options
        return LiveOrchestration(record, history, options.decisions, options.versioning, history_bytes)

    def drop(self, envelope: Envelope, reason: str, round_: Round) -> None:
        """The message has no effect; a parent that was rewound hears that its child is not there."""
        round_.discarded.append(envelope)
        message = envelope.message
        if isinstance(message, Rewind) and message.parent is not None:
            round_.answers.append(Answer(envelope, refused_rewind(message.parent, envelope.target)))
        self._announce(MessageDropped(envelope.target, type(message).__name__, reason))

    def _without_rewinds(self, envelopes: list[Envelope], round_: Round) -> list[Envelope]:
        """What may be dropped silently; who was meant by a rewind is not who has the id now."""
        for envelope in envelopes:
            if type(envelope.message) is Rewind:
                self.drop(envelope, "the instance was replaced", round_)
        return [envelope for envelope in envelopes if type(envelope.message) is not Rewind]


def _keep_no_more(envelopes: Sequence[Envelope], round_: Round) -> None:
    """What was to get a row in this round is going to be dropped."""
    without_row = {id(envelope) for envelope in envelopes if envelope.position is None}
    if without_row:
        round_.kept[:] = [envelope for envelope in round_.kept if id(envelope) not in without_row]


def _new_entity(target: str, now: datetime) -> InstanceRecord:
    origin = Origin(
        instance_id=target,
        kind=InstanceKind.ENTITY,
        name=read_entity_id(target).name,
        execution_id="",
        created_at=now,
    )
    return InstanceRecord(origin, Progress(RuntimeStatus.Running, now))
