"""Makes a round true, without those parts of it that no store can take, or that are not ours to make true."""

from collections.abc import Callable, Collection
from functools import partial

from perdure.contracts.errors import CheckpointRefused, InstanceTaken, LeaseLost
from perdure.contracts.records import Committed, Round
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Checkpoint
from perdure.core.messages import Envelope, StartExecution
from perdure.engine.held_partitions import HeldPartitions
from perdure.engine.live import Episode, LiveInstance
from perdure.engine.live_instances import LiveInstances
from perdure.engine.patience import until_available
from perdure.engine.routing import Router
from perdure.engine.unstorable import unstorable_failure


class Commits:
    """Of one runner; one at a time."""

    def __init__(
        self,
        held: HeldPartitions,
        storage: Storage,
        live: LiveInstances,
        router: Router,
        abandon: Callable[[LiveInstance], None],
    ) -> None:
        self._held = held
        self._storage = storage
        self._live = live
        self._router = router
        self._abandon = abandon
        """Let go of an instance that somebody else has, whatever it is doing."""

    async def commit(self, round_: Round, episodes: list[Episode]) -> Committed:
        """Commit the round; ``episodes`` are those that it holds, and both lose or change what is refused.

        What belongs to partitions that are lost meanwhile, or to ids that others created first, is left out.
        Raises StoreFailed, and CheckpointRefused for what is not one episode's fault.
        """
        while True:
            if self._held.lost:
                # Also what was found to be lost since the last attempt: only what is held is fenced.
                self.leave_out_lost(round_, episodes)
            if not (round_.checkpoints or round_.kept or round_.discarded):
                return Committed([])
            try:
                # When it is unavailable nothing was written; the round is as true as before and goes again.
                return await until_available(partial(self._storage.commit, self._held.hold, round_))
            except LeaseLost as error:
                self._held.note(error)
            except InstanceTaken as error:
                if not self._leave_out_taken(error.instance_ids, round_, episodes):
                    raise
            except CheckpointRefused:
                if not (
                    _fail_unstorable(round_, episodes)
                    or await self._leave_out_purged(round_, episodes)
                    or await self._leave_out_vanished(round_, episodes)
                ):
                    raise

    def leave_out_lost(self, round_: Round, episodes: list[Episode]) -> None:
        """The new owner finds all of it in the store; who sent what has no row yet has no answer yet."""
        is_lost = self._held.is_lost
        episodes[:] = [(live, made) for live, made in episodes if not is_lost(live.instance_id)]
        round_.checkpoints[:] = [checkpoint for _, checkpoint in episodes]
        round_.kept[:] = [e for e in round_.kept if not is_lost(e.target)]
        round_.discarded[:] = [e for e in round_.discarded if not is_lost(e.target)]
        round_.answers[:] = [answer for answer in round_.answers if not is_lost(answer.discarded.target)]

    def _leave_out_taken(self, instance_ids: Collection[str], round_: Round, episodes: list[Episode]) -> bool:
        """Drop instances that were to begin, with their starts; what else came for their ids is routed again.

        So is what they dropped: it may be the very start of what has the id instead.
        """
        taken = [(live, made) for live, made in episodes if _is_new(made) and live.instance_id in instance_ids]
        for live, checkpoint in taken:
            episodes.remove((live, checkpoint))
            self._leave_to_others(live, checkpoint.consumed)
        round_.checkpoints[:] = [checkpoint for _, checkpoint in episodes]
        dropped = [envelope for envelope in round_.discarded if envelope.target in instance_ids]
        round_.discarded[:] = [envelope for envelope in round_.discarded if envelope.target not in instance_ids]
        round_.answers[:] = [answer for answer in round_.answers if answer.discarded.target not in instance_ids]
        self._router.postpone(dropped)
        # Those that begin later, or whose first turn is out.
        starts = [e for e in round_.kept if type(e.message) is StartExecution and e.target in instance_ids]
        for start in starts:
            round_.kept.remove(start)
            self._router.withdraw(start)
            live = self._live.get(start.target)
            if live is not None and _begins(live, start):
                self._leave_to_others(live, live.in_hand())
        return bool(taken or starts)

    def _leave_to_others(self, live: LiveInstance, taken: Collection[Envelope]) -> None:
        again = [envelope for envelope in (*taken, *live.queue) if not _begins(live, envelope)]
        live.queue = []
        self._abandon(live)
        self._router.postpone(again)

    async def _leave_out_purged(self, round_: Round, episodes: list[Episode]) -> bool:
        """Drop the rewinds of instances that were purged meanwhile; answers whether there were any."""
        gone = [(live, made) for live, made in episodes if live.revives and not await self._is_stored(made)]
        for live, checkpoint in gone:
            episodes.remove((live, checkpoint))
            for envelope in checkpoint.consumed:
                self._router.drop(envelope, "the instance was purged", round_)
            self._live.remove(live)
            self._router.postpone(live.queue)
        round_.checkpoints[:] = [checkpoint for _, checkpoint in episodes]
        return bool(gone)

    async def _leave_out_vanished(self, round_: Round, episodes: list[Episode]) -> bool:
        """Let episodes go that took rows which are gone, and route the rest again; answers whether there is less now.

        Where several processes share a store a row may be read, go with its instance, which ends or is purged, and
        only then be handed out, to what has the id by now.
        """
        found = False
        held = len(self._held.hold.leases)
        for live, checkpoint in list(episodes):
            gone = await self._vanished(checkpoint)
            # Of what is lost nothing is read, and nothing follows from that.
            if gone and not self._held.is_lost(live.instance_id):
                found = True
                episodes.remove((live, checkpoint))
                again = [e for e in (*checkpoint.consumed, *live.queue) if e.position not in gone]
                live.queue = []
                self._abandon(live)
                self._router.postpone(again)
        round_.checkpoints[:] = [checkpoint for _, checkpoint in episodes]
        return found or len(self._held.hold.leases) < held

    async def _vanished(self, checkpoint: Checkpoint) -> set[int | None]:
        rows = [envelope for envelope in checkpoint.consumed if envelope.position is not None]
        if not rows:
            return set()
        until = max([checkpoint.progress.updated_at, *(row.due_at for row in rows if row.due_at is not None)])
        there = await self._held.read_inbox(checkpoint.origin.instance_id, until)
        return {row.position for row in rows} - {row.position for row in there}

    async def _is_stored(self, checkpoint: Checkpoint) -> bool:
        origin = checkpoint.origin
        record = await until_available(lambda: self._storage.get(origin.instance_id))
        return (
            record is not None
            and record.origin.number == origin.number
            and record.progress.last_seq == checkpoint.expected_last_seq
        )


def _fail_unstorable(round_: Round, episodes: list[Episode]) -> bool:
    """Let those episodes fail whose text no store can hold; answers whether there were any."""
    found = False
    for at, (live, checkpoint) in enumerate(episodes):
        failure = unstorable_failure(checkpoint)
        if failure is not None:
            found = True
            episodes[at] = (live, live.fail(failure))
    round_.checkpoints[:] = [checkpoint for _, checkpoint in episodes]
    return found and all(unstorable_failure(checkpoint) is None for checkpoint in round_.checkpoints)


def _is_new(checkpoint: Checkpoint) -> bool:
    return checkpoint.origin.number is None


def _begins(live: LiveInstance, envelope: Envelope) -> bool:
    """Whether it is the start of this very instance."""
    message = envelope.message
    return isinstance(message, StartExecution) and message.execution_id == live.execution_id
