"""Makes a round true, without those parts of it that no store can take."""

from perdure.contracts.errors import CheckpointRefused
from perdure.contracts.records import Committed, Hold, Round
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Checkpoint
from perdure.engine.live import Episode
from perdure.engine.live_instances import LiveInstances
from perdure.engine.patience import until_available
from perdure.engine.routing import Router
from perdure.engine.unstorable import unstorable_failure


class Commits:
    """Of one partition; one at a time."""

    def __init__(self, hold: Hold, storage: Storage, live: LiveInstances, router: Router) -> None:
        self._hold = hold
        self._storage = storage
        self._live = live
        self._router = router

    async def commit(self, round_: Round, episodes: list[Episode]) -> Committed:
        """Commit the round; ``episodes`` are those that it holds, and both lose or change what is refused.

        Raises LeaseLost, StoreFailed, and CheckpointRefused for what is not one episode's fault.
        """
        while True:
            try:
                # When it is unavailable nothing was written; the round is as true as before and goes again.
                return await until_available(lambda: self._storage.commit(self._hold, round_))
            except CheckpointRefused:
                if not _fail_unstorable(round_, episodes) and not await self._leave_out_purged(round_, episodes):
                    raise

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
