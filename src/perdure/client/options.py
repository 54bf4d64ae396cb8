"""What a client is told about its hub. No behaviour besides looking up names."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from perdure.contracts.executor import Serves
from perdure.contracts.records import ReusePolicy
from perdure.core.identifiers import check_instance_id
from perdure.core.registry import Registry
from perdure.core.versioning import Versioning

PAYLOAD_BYTES_MAX = 16 * 1024 * 1024
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def random_hex() -> str:
    """The 32 digits of a random UUID. ``uuid.uuid4`` takes more than twice as long, a percent of a whole start."""
    digits = os.urandom(16).hex()
    return f"{digits[:12]}4{digits[13:16]}{_VARIANT[digits[16]]}{digits[17:]}"


def random_uuid() -> str:
    """A random UUID as text."""
    digits = random_hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class FunctionKind(Enum):
    """What a client can ask to run."""

    ORCHESTRATOR = "orchestrator"
    ENTITY = "entity"


KnownNames = Callable[[FunctionKind, str], None]
"""Raises NotRegistered, listing the known names, when nobody runs a function of that kind and name."""


def known_in(registry: Registry) -> KnownNames:
    """Know the names of a registry, also those added to it later."""
    look_up: dict[FunctionKind, Callable[[str], object]] = {
        FunctionKind.ORCHESTRATOR: registry.orchestrator,
        FunctionKind.ENTITY: registry.entity,
    }

    def known(kind: FunctionKind, name: str) -> None:
        look_up[kind](name)

    return known


class LostEvents(Enum):
    """What becomes of an event for an instance that does not exist or has ended."""

    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """``known`` None accepts every name: workers that this process does not know may run it.

    ``new_id`` and ``new_execution_id`` mint ids; simulation gives them a seed. ``versioning`` tells which instances
    the hub's app leaves to others. ``serves`` tells who is connected, where functions run at remote workers, and
    ``is_local`` names the orchestrators that do not. ``check_id`` raises InvalidIdentifier for an id that no new
    instance may have.
    """

    known: KnownNames | None = None
    default_version: str | None = None
    reuse: ReusePolicy = ReusePolicy.NON_RUNNING
    lost_events: LostEvents = LostEvents.REFUSED
    payload_bytes_max: int = PAYLOAD_BYTES_MAX
    versioning: Versioning | None = None
    serves: Serves | None = None
    is_local: Callable[[str], bool] = lambda orchestrator: False
    check_id: Callable[[str], None] = check_instance_id
    new_id: Callable[[], str] = random_hex
    new_execution_id: Callable[[], str] = random_uuid
