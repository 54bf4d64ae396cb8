"""Blobs of an Azure storage account. Importing this imports azure-storage-blob."""

import contextlib
import threading
from collections.abc import Mapping
from typing import Any

try:
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
    from azure.storage.blob import BlobServiceClient, ContentSettings
except ImportError as error:
    raise ImportError(
        "Blobs need the package azure-storage-blob. Install it with: pip install 'perdure[azure]'", name=error.name
    ) from error


class BlobMissing(LookupError):
    """A blob that is to be read is not there."""


class BlobAccount:
    """A storage account, for any thread; named by a connection string, or by its URL and a credential.

    Raises ValueError for neither.
    """

    def __init__(
        self,
        *,
        connection_string: str | None,
        account_url: str | None,
        credential: Any = None,
        api_version: str | None = None,
    ) -> None:
        said: dict[str, Any] = {} if api_version is None else {"api_version": api_version}
        if connection_string:
            self._service = BlobServiceClient.from_connection_string(connection_string, **said)
        elif account_url:
            self._service = BlobServiceClient(account_url, credential, **said)
        else:
            raise ValueError("Name the storage account by connection_string, or by account_url and credential.")
        self._made: set[str] = set()
        self._making = threading.Lock()

    @property
    def url(self) -> str:
        """Where it is, with a slash at the end and without a query."""
        return self._service.url.partition("?")[0].rstrip("/") + "/"

    def make_container(self, container: str) -> None:
        """Make the container unless it is there."""
        with self._making:
            if container in self._made:
                return
            with contextlib.suppress(ResourceExistsError):
                self._service.create_container(container)
            self._made.add(container)

    def write(
        self,
        container: str,
        name: str,
        data: bytes,
        *,
        overwrite: bool = True,
        content_type: str | None = None,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write a blob. Without ``overwrite``, raises ResourceExistsError (azure.core) for one that is there."""
        self._service.get_blob_client(container, name).upload_blob(
            data,
            overwrite=overwrite,
            content_settings=ContentSettings(content_type=content_type, content_encoding=content_encoding),
            metadata=dict(metadata) if metadata else None,
        )

    def read(self, container: str, name: str) -> bytes:
        """A blob's bytes as they are stored. Raises BlobMissing."""
        try:
            return self._service.get_blob_client(container, name).download_blob().readall()
        except ResourceNotFoundError as error:
            raise BlobMissing(f"There is no blob '{name}' in the container '{container}' of {self.url}.") from error

    def close(self) -> None:
        """Let go of the connections."""
        self._service.close()
