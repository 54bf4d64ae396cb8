"""Critical sections: the entity locks that an orchestration holds, and what they forbid (semantics.md §9.1)."""

from collections.abc import Sequence
from typing import Protocol

from perdure.core.actions import Action, LockEntities
from perdure.core.identifiers import read_entity_id
from perdure.core.replay.policy import FailedKind
from perdure.core.replay.tasks import Asker, CallTask, EntityCallTask

NESTED = (
    "lock_entities was called inside a critical section. Sections cannot be nested: "
    "lock all entities with one call, or leave the first section before entering the next."
)


class Holder(Asker, Protocol):
    """What a critical section needs of the recorder."""

    execution_id: str

    def unlock(self, section_id: str, entity_ids: Sequence[str]) -> None:
        """Let these entities go."""
        ...


class EntityLock:
    """The locks of a critical section, held until ``release``, the end of a ``with`` block, or the execution's end."""

    __slots__ = ("_section",)

    def __init__(self, section: "CriticalSection") -> None:
        self._section = section

    @property
    def entity_ids(self) -> tuple[str, ...]:
        """What is locked, each ``@name@key``, in the order of locking."""
        return self._section.entity_ids

    def release(self) -> None:
        """Let all entities go. Again: nothing happens."""
        self._section.leave()

    def __enter__(self) -> "EntityLock":
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    async def __aenter__(self) -> "EntityLock":
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.release()


class LockTask(CallTask):
    """A request for locks; its value is an ``EntityLock``. ``async with`` waits for it and releases at the end."""

    __slots__ = ("_holder", "_section")
    kind = FailedKind.ENTITY

    def __init__(self, holder: Holder, section: "CriticalSection") -> None:
        super().__init__(", ".join(section.entity_ids), None, section.granted)
        self._holder = holder
        self._section = section

    def action(self, task_id: int) -> Action:
        section = self._section
        section.section_id = f"{self._holder.execution_id}:{task_id}"
        return LockEntities(task_id, section.section_id, section.entity_ids)

    async def __aenter__(self) -> EntityLock:
        return await self

    async def __aexit__(self, *exception: object) -> None:
        self._section.leave()


class CriticalSection:
    """From the request of the locks until they are let go."""

    __slots__ = ("_called", "_holder", "entity_ids", "is_left", "request", "section_id")

    def __init__(self, holder: Holder, entity_ids: Sequence[str], lock: type[LockTask] = LockTask) -> None:
        self.entity_ids = tuple(sorted({str(read_entity_id(entity_id)) for entity_id in entity_ids}))
        if not self.entity_ids:
            raise ValueError("lock_entities needs at least one entity.")
        self.section_id = ""
        self.is_left = False
        self._holder = holder
        self._called: dict[str, EntityCallTask] = {}
        """Entity → the newest call to it."""
        self.request = lock(holder, self)

    def granted(self, text: str | None) -> EntityLock:
        """All entities are locked."""
        return EntityLock(self)

    def leave(self) -> None:
        """Let all entities go, once."""
        if not self.is_left:
            self.is_left = True
            self._holder.unlock(self.section_id, self.entity_ids)

    def check_call(self, task: EntityCallTask) -> None:
        """Raise RuntimeError when the section forbids the call."""
        if self.is_left:
            return
        entity_id = str(read_entity_id(task.name))
        if not self.request.is_completed:
            raise RuntimeError(
                f"Entity '{entity_id}' was called before its critical section was entered: "
                "wait for the task of lock_entities first."
            )
        if entity_id not in self.entity_ids:
            raise RuntimeError(
                f"Entity '{entity_id}' was called inside a critical section that does not lock it (locked: "
                f"{', '.join(self.entity_ids)}). Lock it too, call it outside of the section, or signal it."
            )
        before = self._called.get(entity_id)
        if before is not None and not before.is_completed:
            raise RuntimeError(
                f"Entity '{entity_id}' was called inside a critical section while an earlier call to it is open: "
                "wait for that one first."
            )
        self._called[entity_id] = task

    def check_signal(self, entity_id: str) -> None:
        """Raise RuntimeError when the section forbids the signal."""
        if not self.is_left and str(read_entity_id(entity_id)) in self.entity_ids:
            raise RuntimeError(
                f"Entity '{entity_id}' was signalled inside the critical section that locks it: "
                "the signal would wait for the section's end. Call it instead."
            )

    def check_child(self, name: str) -> None:
        """Raise RuntimeError: the section forbids children."""
        if not self.is_left:
            raise RuntimeError(
                f"Sub-orchestration '{name}' was called inside a critical section; it could wait for the section's own "
                "locks for ever. Call it before the section or after it."
            )
