"""Payloads as files of a folder, which clients and workers share."""

import os
from pathlib import Path

from durabletask.payload.packing import PayloadMissing, checked, name_in, name_of, packed
from durabletask.payload.store import LargePayloadStorageOptions, PayloadStore
from durabletask.whole_files import write_whole

PREFIX = "file:v1:"


class FilePayloadStore(PayloadStore):
    """Keeps each payload in a file of ``directory``, which is made when it is needed.

    The same bytes are one file. Tokens do not name the folder: it may lie elsewhere on another machine. A file is on
    disk when its token is given. Nothing is removed: files older than the hub's oldest instance may be deleted.
    """

    def __init__(self, directory: str | os.PathLike[str], options: LargePayloadStorageOptions | None = None) -> None:
        self._directory = Path(directory)
        self._options = options or LargePayloadStorageOptions()

    @property
    def options(self) -> LargePayloadStorageOptions:
        """See ``PayloadStore``."""
        return self._options

    def upload(self, data: bytes, *, instance_id: str | None = None) -> str:
        """See ``PayloadStore``. Raises OSError."""
        name = name_of(data)
        path = self._path_of(name)
        if path.exists():
            # It counts as new: what is cleared by age must not take it.
            path.touch()
        else:
            write_whole(path, packed(data) if self._options.enable_compression else data)
        return PREFIX + name

    def download(self, token: str) -> bytes:
        """See ``PayloadStore``. Raises OSError, PayloadMissing and PayloadDamaged."""
        name = name_in(token, PREFIX)
        if name is None:
            raise PayloadMissing(f"'{token}' is no token of a FilePayloadStore.")
        path = self._path_of(name)
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            raise PayloadMissing(
                f"The payload '{token}' is not in {self._directory.absolute()}. Clients and workers of a task hub need "
                "the same folder."
            ) from None
        return checked(stored, name, token)

    def is_known_token(self, value: str) -> bool:
        """See ``PayloadStore``."""
        return name_in(value, PREFIX) is not None

    def _path_of(self, name: str) -> Path:
        return self._directory / name[:2] / name
