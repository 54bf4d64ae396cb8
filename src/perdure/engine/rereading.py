"""Rows that are read again: those that come near, those that waited for a version, those of a resumed instance.

Each message is to be in one place only, so whatever has come meanwhile is looked at with what was read.
"""

from datetime import datetime

from perdure.contracts.clock import Clock
from perdure.core.messages import Envelope, StartExecution
from perdure.engine.due_messages import DueMessages
from perdure.engine.held_partitions import HeldPartitions
from perdure.engine.in_hand import InHand
from perdure.engine.live import LiveInstance
from perdure.engine.live_instances import LiveInstances
from perdure.engine.rejections import Rejections
from perdure.engine.turns_out import TurnsOut


class Rereading:
    """Of one runner."""

    def __init__(
        self,
        held: HeldPartitions,
        clock: Clock,
        *,
        in_hand: InHand,
        live: LiveInstances,
        turns_out: TurnsOut,
        due: DueMessages,
        rejections: Rejections,
    ) -> None:
        self._held = held
        self._clock = clock
        self._in_hand = in_hand
        self._live = live
        self._turns_out = turns_out
        self._due = due
        self._rejections = rejections

    async def look_ahead(self) -> None:
        """Move the horizon; between rounds only, so that no row is read that is just being consumed."""
        if (before := self._due.move_horizon()) is None:
            return
        rows = await self._held.read_due(before, self._due.horizon)
        self._take_in_what_came()
        now = self._clock.now()
        # Only after a jump of the clock can a row beyond the horizon have been due, and be in somebody's hands.
        is_behind = any(row.due_at is not None and row.due_at <= now for row in rows)
        held = self._held_positions() if is_behind else ()
        # Written by others meanwhile; what is not due yet gets into the heap with its next round.
        coming = {envelope.position for envelope in self._in_hand.incoming if envelope.due_at is not None}
        for row in rows:
            if row.position not in held and row.position not in coming:
                self._due.add(row)

    async def look_again(self) -> None:
        """Read what waits for instances whose version is run now; between rounds only."""
        now = self._clock.now()
        # What is due is in the inbox as well; left in the heap it would come a second time.
        self._in_hand.incoming.extend(self._due.take(now))
        for instance_id in self._rejections.take_accepted():
            rows = await self._read_inbox(instance_id, now)
            held = self._held_positions()
            waiting = [row for row in rows if row.position not in held]
            if (live := self._live.get(instance_id)) is not None:
                waiting = [row for row in waiting if not live.leave_behind(row)]
                if live.queue and live.turn is None:
                    self._in_hand.ready[instance_id] = live
            self._in_hand.incoming[:0] = waiting

    async def reread(self, live: LiveInstance) -> None:
        """Give a resumed instance what the inbox holds for it, in order, and what is in memory only once."""
        now = self._clock.now()
        self._take_in_what_came()
        # What is due is in the inbox as well; left in the heap it would come a second time.
        self._in_hand.incoming.extend(self._due.take(now))
        mine = live.queue
        others: list[Envelope] = []
        for envelope in self._in_hand.incoming:
            is_mine = envelope.target == live.instance_id and (envelope.due_at is None or envelope.due_at <= now)
            # A start without a row makes another instance of the id: it must find its own way.
            is_mine = is_mine and (envelope.position is not None or type(envelope.message) is not StartExecution)
            (mine if is_mine else others).append(envelope)
        self._in_hand.incoming = others
        held: list[Envelope] = []
        until = max(now, self._due.horizon)
        for envelope in await self._read_inbox(live.instance_id, until):
            if live.leave_behind(envelope):
                continue
            if envelope.due_at is None or envelope.due_at <= now:
                held.append(envelope)
            else:
                # It was due and held back, and the clock has gone back since; if it was not, it is known already.
                self._due.add(envelope)
        stored = {e.position for e in held}
        live.queue = [*held, *(e for e in mine if e.position is None or e.position not in stored)]

    async def _read_inbox(self, instance_id: str, until: datetime) -> list[Envelope]:
        """The rows of one instance; what came of them meanwhile, written by others, does not come a second time."""
        rows = await self._held.read_inbox(instance_id, until)
        positions = {row.position for row in rows}
        self._take_in_what_came()
        in_hand = self._in_hand
        in_hand.incoming = [e for e in in_hand.incoming if e.position is None or e.position not in positions]
        return rows

    def _held_positions(self) -> set[int | None]:
        self._take_in_what_came()
        held = {envelope.position for envelope in self._in_hand.incoming}
        held.update(envelope.position for live in self._live for envelope in live.queue)
        for live in self._turns_out.instances():
            held.update(envelope.position for envelope in (*live.queue, *live.in_hand()))
        return held

    def _take_in_what_came(self) -> None:
        self._in_hand.incoming.extend(self._held.receive_now())
