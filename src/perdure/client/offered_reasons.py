"""What instances of a shared hub wait for, where that is with other processes."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from perdure.contracts.executor import ServedKind
from perdure.contracts.offers import OfferedWork, OfferState
from perdure.contracts.storage import Storage
from perdure.core.instance import InstanceRecord
from perdure.core.partitions import partition_of
from perdure.core.waiting_on import WaitingOn, WaitKind

NOBODY = "offered to every process of the hub, and none has taken it"


async def with_offers(
    storage: Storage, offers: OfferedWork, record: InstanceRecord, reasons: Sequence[WaitingOn]
) -> list[WaitingOn]:
    """The reasons, with who does what was offered.

    That nobody here serves a name is kept only where this process would have to: whoever else owns the instance
    offers what it cannot run.
    """
    if not reasons:
        return []
    instance_id = record.origin.instance_id
    states = await offers.offers_of(instance_id)
    told: list[WaitingOn] = []
    for reason in reasons:
        runs_it = instance_id
        match reason.kind:
            case WaitKind.ACTIVITY:
                mine = [s for s in states if s.kind is ServedKind.ACTIVITY and s.name == reason.name]
                alike = sum(other.kind is reason.kind and other.name == reason.name for other in reasons)
                text = _text(mine, alike)
            case WaitKind.TURN:
                text = _text([s for s in states if s.kind is not ServedKind.ACTIVITY], 1)
            case WaitKind.ENTITY if reason.name is not None:
                runs_it = reason.name
                text = _text(await offers.offers_of(runs_it), 1)
            case _:
                told.append(reason)
                continue
        if text is None and (offers.is_alone or offers.holds(partition_of(runs_it, storage.partition_count))):
            text = reason.reason
        told.append(msgspec.structs.replace(reason, reason=text))
    return told


def _text(states: Sequence[OfferState], alike: int) -> str | None:
    """Of so many that are alike, who does which; None when none of them is offered."""
    doers = Counter(state.doer for state in states)
    if len(doers) == 1 and len(states) >= alike:
        [doer] = doers
        return NOBODY if doer is None else f"runs in process '{doer}'"
    parts = [f"{count} in process '{doer}'" for doer, count in doers.items() if doer is not None]
    if waiting := doers.get(None, 0):
        parts.append(f"{waiting} are offered to every process and not taken yet")
    return f"of {alike} with this name: {', '.join(parts)}" if parts else None
