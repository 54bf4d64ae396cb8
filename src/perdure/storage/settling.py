"""What a transaction that came true means in memory: positions and numbers are known, senders and waiters go on."""

from collections.abc import Iterable

from perdure.contracts.records import Round
from perdure.core.instance import InstanceRecord
from perdure.storage.changes import Changes, NumberedCreation, Outcome, Placed
from perdure.storage.senders import Senders
from perdure.storage.status_waiters import StatusWaiters


class Settling:
    """Ends what waits for a transaction."""

    def __init__(self, senders: Senders, waiters: StatusWaiters) -> None:
        self._senders = senders
        self._waiters = waiters

    def messages(self, changes: Changes) -> None:
        """Client messages and creations got their rows."""
        senders = self._senders
        self._saved(changes)
        senders.settle(placed.envelope for placed in changes.kept)
        senders.settle(made.creation.start for made in changes.created)
        self._release_created(changes, made=True)

    def messages_failed(self, changes: Changes) -> None:
        """They did not."""
        self._release_created(changes, made=False)

    def round_(self, round_: Round, changes: Changes, outcome: Outcome) -> list[Placed]:
        """A round came true; gives what it sent, in the order of sending."""
        self._saved(changes)
        for numbered in changes.inserted:
            numbered.checkpoint.origin.number = numbered.number
        senders = self._senders
        for checkpoint in round_.checkpoints:
            senders.settle(checkpoint.consumed)
        senders.settle(round_.kept)
        senders.settle(round_.discarded)
        sent = changes.envelopes
        if changes.children:
            sent = [*sent, *self._children(changes.children, outcome)]
            sent.sort(key=_position)
        if self._waiters:
            for checkpoint in round_.checkpoints:
                self._waiters.announce(InstanceRecord(checkpoint.origin, checkpoint.progress))
        return sent

    def round_failed(self, changes: Changes) -> None:
        """Nothing of a round came true."""
        claims = self._senders.claims
        for child in changes.children:
            if not child.taken:
                claims.release(child.creation.record.origin.instance_id, made=False)

    def _children(self, children: Iterable[NumberedCreation], outcome: Outcome) -> list[Placed]:
        senders = self._senders
        sent: list[Placed] = []
        for child in children:
            creation = child.creation
            if child.taken or child.position in outcome.taken:
                if creation.if_taken is not None:
                    creation.if_taken.position = child.position
                    sent.append(Placed(child.position, creation.if_taken))
            else:
                creation.record.origin.number = child.number
                creation.start.position = child.position
                sent.append(Placed(child.position, creation.start))
                senders.remember(creation)
                self._waiters.announce(creation.record)
            if not child.taken:
                senders.claims.release(creation.record.origin.instance_id, made=True)
        return sent

    def _saved(self, changes: Changes) -> None:
        for placed in (*changes.kept, *changes.envelopes):
            placed.envelope.position = placed.position
        for made in changes.created:
            made.creation.record.origin.number = made.number
            made.creation.start.position = made.position
            self._waiters.announce(made.creation.record)

    def _release_created(self, changes: Changes, *, made: bool) -> None:
        for creation in changes.created:
            self._senders.claims.release(creation.creation.record.origin.instance_id, made=made)


def _position(placed: Placed) -> int:
    return placed.position
