"""What the audit knows of entity locks: who may get one, who has it, and that every lock will be let go."""

from collections.abc import Callable, Iterator

from perdure.core import events as ev
from perdure.core import messages as ms
from perdure.core.checkpoint import Checkpoint
from perdure.core.instance import Instance, InstanceKind, OpenLock
from perdure.testing.simulation.shadow import Shadow, ShadowInstance

Require = Callable[[bool, str], None]
"""Ends the run unless the first holds."""


class LockAudit:
    """Checks the locks of committed entities against what their holders have committed."""

    def __init__(self, shadow: Shadow, require: Require) -> None:
        self._shadow = shadow
        self._require = require

    def check_moves(self, former: ShadowInstance, now: ShadowInstance, checkpoint: Checkpoint) -> None:
        """Locks come by requests and go by releases, and while one stays only its holder's calls are taken."""
        before, after = former.progress.locked_by, now.progress.locked_by
        messages = [envelope.message for envelope in checkpoint.consumed]
        if before != after:
            gone = any(isinstance(m, ms.LockRelease) and before and m.section_id == before.section_id for m in messages)
            came = any(isinstance(m, ms.LockRequest) and after and m.section_id == after.section_id for m in messages)
            explained = (before is None or gone) and (after is None or came)
            self._require(explained, f"'{now.origin.instance_id}' was locked by {before}, is by {after}: {messages}")
        elif before is not None:
            for message in messages:
                if isinstance(message, ms.OperationRequest):
                    caller = message.reply_to
                    own = caller is not None and caller.execution_id == before.execution_id
                    self._require(own, f"'{now.origin.instance_id}', locked by {before}, ran {message}")

    def is_void(self, release: ms.LockRelease, entity: ShadowInstance) -> bool:
        """Whether a release that was dropped lets nothing go: no such lock is held, or another one will let it go."""
        holder, instance_id = entity.progress.locked_by, entity.origin.instance_id
        if holder is None or holder.section_id != release.section_id:
            return True
        return (release.holder_id, release.section_id, instance_id) in set(self._released())

    def check_all(self) -> None:
        """Whoever was granted locks has them all, so no entity is held by two; and no lock is left for ever."""
        sections: set[tuple[str, str]] = set()
        for instance in self._shadow.living():
            if any(isinstance(event, ev.EntityLockRequested) for event in instance.history):
                loaded = Instance.loaded(instance.record, instance.history)
                sections.update((instance.origin.instance_id, section_id) for section_id in loaded.sections)
                self._check_granted(instance, loaded)
        if any(section not in sections for section in self._asked()):
            released = set(self._released())
            for holder_id, section_id, entity_id in self._asked_of():
                self._require(
                    (holder_id, section_id) in sections or (holder_id, section_id, entity_id) in released,
                    f"'{entity_id}' is locked or asked for by '{holder_id}' ({section_id}) that is over, "
                    "and nothing will let it go",
                )

    def _check_granted(self, instance: ShadowInstance, loaded: Instance) -> None:
        if not any(isinstance(event, ev.EntityLockGranted) for event in instance.history):
            return
        asked = {work.entity_ids for work in loaded.open_work.values() if isinstance(work, OpenLock)}
        for section_id, entity_ids in loaded.sections.items():
            if entity_ids in asked:
                continue
            for entity_id in entity_ids:
                entity = self._shadow.instances.get(entity_id)
                holder = None if entity is None else entity.progress.locked_by
                self._require(
                    holder is not None and holder.section_id == section_id,
                    f"'{instance.origin.instance_id}' was granted {entity_id}, which {holder} holds",
                )

    def _asked(self) -> Iterator[tuple[str, str]]:
        return ((holder_id, section_id) for holder_id, section_id, _ in self._asked_of())

    def _asked_of(self) -> Iterator[tuple[str, str, str]]:
        """Holder, section and entity of every lock that is held, and of every request on its way."""
        for instance in self._shadow.instances.values():
            holder = instance.progress.locked_by
            if instance.origin.kind is InstanceKind.ENTITY and holder is not None:
                yield holder.instance_id, holder.section_id, instance.origin.instance_id
        for sent in self._shadow.rows.values():
            if isinstance(request := sent.message, ms.LockRequest):
                yield request.holder.instance_id, request.section_id, sent.target

    def _released(self) -> Iterator[tuple[str, str, str]]:
        """Holder, section and entity of every release that is on its way."""
        for sent in self._shadow.rows.values():
            if isinstance(release := sent.message, ms.LockRelease):
                for entity_id in (sent.target, *release.then):
                    yield release.holder_id, release.section_id, entity_id
