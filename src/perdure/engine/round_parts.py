"""A round that is too large for one transaction goes to the store in parts, one after the other."""

import itertools
from collections.abc import Iterator, Sequence

from perdure.contracts.records import Round
from perdure.core import messages as ms
from perdure.core.checkpoint import HistoryChange
from perdure.core.messages import Envelope
from perdure.engine.live import Episode

Part = tuple[Round, list[Episode]]
"""What one transaction makes true, and the episodes that it holds."""

_TEXTS: dict[type, str] = {
    ms.StartExecution: "input",
    ms.RaiseEvent: "input",
    ms.OperationRequest: "input",
    ms.ActivityCompleted: "result",
    ms.ChildCompleted: "result",
    ms.OperationCompleted: "result",
}
"""Which text of a message may be large."""


def parts_of(round_: Round, episodes: list[Episode], characters_max: int) -> list[Part]:
    """The round itself if it is small enough; else its parts, in the order in which they are to be made true.

    Each part may be committed by itself. What an instance keeps and has dropped goes with its episode, or with a later
    start that replaces it.
    """
    kept = _characters_by_target(round_.kept) if round_.kept else {}
    ends = _ends_of_episodes(episodes, kept, characters_max)
    # Of those that have no episode in this round.
    left = sum(kept.values())
    if not ends and left <= characters_max:
        return [(round_, episodes)]
    parts: list[Part] = []
    for begin, end in itertools.pairwise([0, *ends, len(episodes)]):
        made = episodes[begin:end]
        parts.append((Round([checkpoint for _, checkpoint in made], [], [], []), made))
    place = {live.instance_id: part for part, made in parts for live, _ in made}
    last = parts[-1][0]
    others: list[Envelope] = []
    for envelope in round_.kept:
        (others if (part := place.get(envelope.target)) is None else part.kept).append(envelope)
    for chunk in _chunks(others, characters_max):
        part = Round([], chunk, [], [])
        parts.append((part, []))
        # What a start takes the place of is gone only with it, and so is what was for that.
        place |= {envelope.target: part for envelope in chunk if type(envelope.message) is ms.StartExecution}
    for envelope in round_.discarded:
        place.get(envelope.target, last).discarded.append(envelope)
    for answer in round_.answers:
        place.get(answer.discarded.target, last).answers.append(answer)
    return parts


def whole(parts: Sequence[Part]) -> Round:
    """All that was made true; some of it may have been left out on the way."""
    rounds = [round_ for round_, _ in parts]
    if len(rounds) == 1:
        return rounds[0]
    return Round(
        [checkpoint for round_ in rounds for checkpoint in round_.checkpoints],
        [envelope for round_ in rounds for envelope in round_.kept],
        [envelope for round_ in rounds for envelope in round_.discarded],
        [answer for round_ in rounds for answer in round_.answers],
    )


def _ends_of_episodes(episodes: Sequence[Episode], kept: dict[str, int], characters_max: int) -> list[int]:
    # Every episode passes here: one function, no call for any of them.
    texts = _TEXTS
    ends: list[int] = []
    size = 0
    for at, (live, checkpoint) in enumerate(episodes):
        before = size
        for envelope in checkpoint.consumed:
            message = envelope.message
            if (name := texts.get(type(message))) is not None and (text := getattr(message, name)) is not None:
                size += len(text)
        for activity in checkpoint.activities:
            if (text := activity.input) is not None:
                size += len(text)
        for creation in checkpoint.children:
            if (text := creation.record.origin.input) is not None:
                size += len(text)
        for envelope in checkpoint.outbox:
            message = envelope.message
            if (name := texts.get(type(message))) is not None and (text := getattr(message, name)) is not None:
                size += len(text)
        progress = checkpoint.progress
        if (text := progress.output) is not None:
            size += len(text)
        if (text := progress.state) is not None:
            size += len(text)
        if (text := progress.custom_status) is not None:
            size += len(text)
        if checkpoint.history is HistoryChange.REPLACE:
            size += live.history_bytes
        if kept:
            size += kept.pop(live.instance_id, 0)
        if size > characters_max and before:
            ends.append(at)
            size -= before
    return ends


def _characters_by_target(envelopes: Sequence[Envelope]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for envelope in envelopes:
        sizes[envelope.target] = sizes.get(envelope.target, 0) + _characters(envelope)
    return sizes


def _chunks(envelopes: Sequence[Envelope], characters_max: int) -> Iterator[list[Envelope]]:
    chunk: list[Envelope] = []
    size = 0
    for envelope in envelopes:
        more = _characters(envelope)
        if chunk and size + more > characters_max:
            yield chunk
            chunk, size = [], 0
        chunk.append(envelope)
        size += more
    if chunk:
        yield chunk


def _characters(envelope: Envelope) -> int:
    name = _TEXTS.get(type(envelope.message))
    text = None if name is None else getattr(envelope.message, name)
    return 0 if text is None else len(text)
