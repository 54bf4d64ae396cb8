"""Connected workers, and which of them gets what: filters, limits, the least loaded first.

Work waits in lanes: all items of one lane are taken by the same workers. A stream is handed work only while its
connection takes it, so what a worker does not read stays here, for others.
"""

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import islice

from perdure.execution.remote_items import ItemKind, LaneKey, Work
from perdure.execution.work_loads import LoadCount
from perdure.execution.worker_terms import WorkerTerms

AHEAD_MAX = 8
"""So many items at most are set aside for a stream before its connection takes them."""
LANES_KEPT = 10_000
LOOKED_AT = 16
"""Of so many streams, in turn, the least loaded is chosen: to look at thousands would cost more than the item."""
APART_SECONDS = 1e-6
"""What is offered in one moment keeps its order."""


class WorkerStream:
    """One open stream to a worker. Whoever writes to the connection pulls with ``Workers.next_for``."""

    __slots__ = (
        "_waiter", "ahead", "ended", "in_hand", "is_draining", "is_silent", "limits", "sent_at", "served", "terms",
    )  # fmt: skip

    def __init__(self, terms: WorkerTerms, limit: int, now: float) -> None:
        self.terms = terms
        self.limits = tuple(stated if stated > 0 else limit for stated in terms.limits)
        self.in_hand = [0] * len(ItemKind)
        """Items by kind that it has or that are set aside for it."""
        self.ahead: deque[Work] = deque()
        """Set aside, not taken yet."""
        self.ended = False
        self.is_draining = False
        """Its worker wants nothing more, and finishes what it has."""
        self.sent_at = now
        self.is_silent = False
        """Nothing was sent for so long that a ping is due."""
        self.served = 0
        self._waiter: asyncio.Future[None] | None = None

    def has_room(self, kind: ItemKind) -> bool:
        """Whether it may get one more item of the kind now."""
        return self.in_hand[kind] < self.limits[kind] and len(self.ahead) < AHEAD_MAX and not self.ended

    def takes(self, key: LaneKey) -> bool:
        """Whether items of this lane are for it now."""
        return not self.is_draining and self.terms.take(key)

    def load(self, kind: ItemKind) -> tuple[float, int]:
        """How busy it is; of two that are equally busy the one that was served longer ago comes first."""
        return self.in_hand[kind] / self.limits[kind], self.served

    def wake_silent(self) -> None:
        """A ping is due."""
        self.is_silent = True
        self.wake()

    def wake(self) -> None:
        """There may be something for it."""
        if (waiter := self._waiter) is not None and not waiter.done():
            waiter.set_result(None)

    async def woken(self) -> None:
        """Wait for ``wake``."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


def _least_loaded(free: list[WorkerStream], kind: ItemKind, avoid: str | None) -> WorkerStream | None:
    if len(free) > 1 and avoid is not None:
        free = [stream for stream in free if stream.terms.worker != avoid] or free
    if len(free) < 2:
        return free[0] if free else None
    return min(free, key=lambda stream: stream.load(kind))


class _Lane:
    """Work that waits, oldest first, and the streams that take it."""

    __slots__ = ("_by_age", "_put", "_waiting", "key", "streams")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self.streams: OrderedDict[WorkerStream, None] = OrderedDict()
        self._waiting: dict[int, Work] = {}
        self._by_age: list[tuple[float, int, Work]] = []
        """A heap; what is not among the waiting any more is passed over."""
        self._put = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Work]:
        return iter(self._waiting.values())

    def add(self, work: Work) -> None:
        """It waits, behind what is older."""
        self._put += 1
        self._waiting[id(work)] = work
        if len(self._by_age) > 2 * len(self._waiting) + 64:
            self._by_age = [entry for entry in self._by_age if self._waiting.get(id(entry[2])) is entry[2]]
            heapq.heapify(self._by_age)
        heapq.heappush(self._by_age, (work.since, self._put, work))

    def remove(self, work: Work) -> bool:
        """It waits no more; False when it did not."""
        return self._waiting.pop(id(work), None) is not None

    def oldest(self) -> Work:
        """What has waited longest; there must be something."""
        while (work := self._by_age[0][2]) is not self._waiting.get(id(work)):
            heapq.heappop(self._by_age)
        return work


class Workers:
    """The connected workers and the work that waits for them."""

    def __init__(self, limit_per_kind: int) -> None:
        self._limit = limit_per_kind
        self._streams: dict[WorkerStream, None] = {}
        self._lanes: dict[LaneKey, _Lane] = {}
        self._served: tuple[OrderedDict[LaneKey, _Lane], ...] = tuple(OrderedDict() for _ in ItemKind)
        """By kind, the lanes where work waits that some stream takes: it has no room now."""
        self._lanes_max = LANES_KEPT
        self._turn = 0
        self._newest = 0.0
        self._kinds = deque(ItemKind)
        self.is_closed = False
        """Nothing is handed out any more."""

    def __iter__(self) -> Iterator[WorkerStream]:
        return iter(self._streams)

    def __contains__(self, stream: object) -> bool:
        return stream in self._streams

    @property
    def are_many(self) -> bool:
        """Whether more than one stream is open."""
        return len(self._streams) > 1

    def connect(self, terms: WorkerTerms) -> WorkerStream:
        """A worker opened a stream."""
        stream = WorkerStream(terms, self._limit, asyncio.get_running_loop().time())
        self._streams[stream] = None
        for lane in self._lanes.values():
            if terms.take(lane.key):
                lane.streams[stream] = None
                if lane:
                    self._served[lane.key.kind][lane.key] = lane
        return stream

    def disconnect(self, stream: WorkerStream) -> None:
        """Its stream is gone; what was set aside for it and never taken goes to others, before what came later."""
        stream.ended = True
        self._streams.pop(stream, None)
        self._pass_over(stream)
        stream.wake()

    def drain(self, stream: WorkerStream) -> None:
        """Hand it nothing more; what it has it may finish. Twice-safe."""
        stream.is_draining = True
        set_aside = list(stream.ahead)
        self._pass_over(stream)
        for work in set_aside:
            stream.in_hand[work.lane.kind] -= 1

    def count(self, load: LoadCount) -> None:
        """Count what waits, and name what has waited not long ago."""
        for lane in self._lanes.values():
            load.add_pending(lane.key.kind, lane.key.name, len(lane), lane.oldest().since if lane else 0.0)
        for stream in self._streams:
            load.add_waiting(stream.ahead)

    def takes(self, key: LaneKey) -> bool:
        """Whether a connected worker takes such items."""
        return any(stream.takes(key) for stream in self._streams)

    def room(self, key: LaneKey) -> int:
        """How many more items of this lane could be handed out now, after those that wait in it."""
        kind = key.kind
        places = sum(s.limits[kind] - s.in_hand[kind] for s in self._streams if s.takes(key))
        lane = self._lanes.get(key)
        return max(places - (0 if lane is None else len(lane)), 0)

    def offer(self, work: Work) -> None:
        """Work for whoever takes it; what was offered before, and its successors, keep their age."""
        if not work.since:
            now = asyncio.get_running_loop().time()
            self._newest = work.since = max(now, self._newest + APART_SECONDS)
        lane = self._lane(work.lane)
        if not lane and (stream := self._choose(lane, work.avoid)) is not None:
            self._set_aside(stream, work)
        else:
            self._wait(work)
            self._serve(lane)

    def take_back(self, work: Work) -> bool:
        """Forget work that no stream has taken; False when it is not here."""
        lane = self._lane(work.lane)
        if lane.remove(work):
            if not lane:
                self._served[lane.key.kind].pop(lane.key, None)
            return True
        for stream in self._streams:
            if work in stream.ahead:
                stream.ahead.remove(work)
                self.let_go(stream, work.lane.kind)
                return True
        return False

    def waiting(self, kind: ItemKind) -> list[Work]:
        """All work of the kind that no stream has taken."""
        found = [work for lane in self._lanes.values() if lane.key.kind is kind for work in lane]
        found += [work for stream in self._streams for work in stream.ahead if work.lane.kind is kind]
        return found

    def let_go(self, stream: WorkerStream, kind: ItemKind) -> None:
        """The stream has one item of the kind less, and so room for another."""
        stream.in_hand[kind] -= 1
        if self._served[kind]:
            stream.wake()

    def next_for(self, stream: WorkerStream) -> Work | None:
        """What the stream's connection is to take next."""
        if self.is_closed:
            return None
        if not stream.ahead:
            self._fill(stream)
        return stream.ahead.popleft() if stream.ahead else None

    def _pass_over(self, stream: WorkerStream) -> None:
        for lane in self._lanes.values():
            if stream in lane.streams:
                del lane.streams[stream]
                if not lane.streams:
                    self._served[lane.key.kind].pop(lane.key, None)
        set_aside, stream.ahead = stream.ahead, deque()
        for work in set_aside:
            self._wait(work)
        for key in {work.lane for work in set_aside}:
            self._serve(self._lane(key))

    def _wait(self, work: Work) -> None:
        lane = self._lane(work.lane)
        lane.add(work)
        if lane.streams:
            self._served[lane.key.kind][lane.key] = lane

    def _serve(self, lane: _Lane) -> None:
        while lane and (stream := self._choose(lane, lane.oldest().avoid)) is not None:
            self._set_aside(stream, self._take_oldest(lane))

    def _take_oldest(self, lane: _Lane) -> Work:
        work = lane.oldest()
        lane.remove(work)
        if not lane:
            self._served[lane.key.kind].pop(lane.key, None)
        return work

    def _fill(self, stream: WorkerStream) -> None:
        self._kinds.rotate(1)
        for kind in self._kinds:
            lanes = self._served[kind]
            while lanes and stream.has_room(kind):
                lane = next((lane for lane in lanes.values() if stream in lane.streams), None)
                if lane is None:
                    break
                work = self._take_oldest(lane)
                if lane:
                    lanes.move_to_end(lane.key)
                other = self._choose(lane, work.avoid) if work.avoid == stream.terms.worker else stream
                self._set_aside(stream if other is None else other, work)

    def _choose(self, lane: _Lane, avoid: str | None) -> WorkerStream | None:
        """The least loaded stream with room; the one to avoid only when no other has room."""
        if self.is_closed:
            return None
        streams = lane.streams
        if len(streams) > LOOKED_AT and (chosen := self._choose_among(streams, lane.key.kind, avoid)) is not None:
            return chosen
        return _least_loaded([stream for stream in streams if stream.has_room(lane.key.kind)], lane.key.kind, avoid)

    def _choose_among(
        self, streams: OrderedDict[WorkerStream, None], kind: ItemKind, avoid: str | None
    ) -> WorkerStream | None:
        """The same of the few that were not looked at for longest; None when all streams must be looked at."""
        free: list[WorkerStream] = []
        for stream in list(islice(streams, LOOKED_AT)):
            if stream.has_room(kind):
                free.append(stream)
            else:
                streams.move_to_end(stream)
        chosen = _least_loaded(free, kind, avoid)
        if chosen is None or chosen.terms.worker == avoid:
            return None
        streams.move_to_end(chosen)
        return chosen

    def _set_aside(self, stream: WorkerStream, work: Work) -> None:
        self._turn += 1
        stream.served = self._turn
        stream.in_hand[work.lane.kind] += 1
        stream.ahead.append(work)
        stream.wake()

    def _lane(self, key: LaneKey) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= self._lanes_max:
                self._lanes = {key: lane for key, lane in self._lanes.items() if lane}
                self._lanes_max = max(LANES_KEPT, 2 * len(self._lanes))
            lane = self._lanes[key] = _Lane(key)
            lane.streams = OrderedDict.fromkeys(stream for stream in self._streams if stream.takes(key))
        return lane
