"""What began in this process and lives: its status is known without asking the store."""

from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes

REMEMBERED_MAX = 10_000


class Living:
    """The newest of the instances that began here, each with its status as this process last committed it.

    Holds as long as their partitions are held: nobody but the holder changes what lives.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, RuntimeStatus] = {}

    def status_of(self, instance_id: str) -> RuntimeStatus | None:
        """None when it is not known."""
        return self._statuses.get(instance_id)

    def committed(self, changes: Changes) -> None:
        """These came true."""
        statuses = self._statuses
        for instance_id in changes.replaced:
            statuses.pop(instance_id, None)
        if statuses:
            for numbered in changes.updated:
                instance_id = numbered.checkpoint.origin.instance_id
                if instance_id in statuses:
                    statuses[instance_id] = numbered.checkpoint.progress.status
        for numbered in changes.inserted:
            statuses[numbered.checkpoint.origin.instance_id] = numbered.checkpoint.progress.status
        for numbered in changes.finished:
            statuses.pop(numbered.checkpoint.origin.instance_id, None)
        for instance_id in list(statuses)[: len(statuses) - REMEMBERED_MAX]:
            del statuses[instance_id]

    def forget_all(self) -> None:
        """Partitions went, and with them what lives there."""
        self._statuses.clear()
