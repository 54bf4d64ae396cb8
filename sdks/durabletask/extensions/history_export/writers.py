"""Where documents go: what a writer is, and one that writes files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from durabletask.whole_files import write_whole


@runtime_checkable
class HistoryWriter(Protocol):
    """Puts documents somewhere; called from several threads at once. To write one again must do no harm."""

    def write(
        self,
        *,
        instance_id: str,
        container: str,
        blob_name: str,
        payload: bytes,
        content_type: str,
        content_encoding: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the document for good. Whatever is raised is noted as this instance's failure, and tried again."""
        ...


class FileHistoryWriter:
    """Writes ``directory/container/blob_name``; the folders are made. A file is whole, or not there."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory)

    def write(
        self,
        *,
        instance_id: str,
        container: str,
        blob_name: str,
        payload: bytes,
        content_type: str,
        content_encoding: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """See ``HistoryWriter``. Raises OSError, and ValueError for a place outside the directory."""
        root = self._directory.resolve()
        path = (root / container / blob_name).resolve()
        if not path.is_relative_to(root) or path == root:
            raise ValueError(f"'{container}/{blob_name}' lies outside {root}.")
        write_whole(path, payload)
