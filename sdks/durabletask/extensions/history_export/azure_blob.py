"""Documents as Azure blobs. Importing this needs azure-storage-blob (``pip install 'perdure[azure]'``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from durabletask.extensions.blob_account import BlobAccount


@dataclass
class AzureBlobHistoryExportWriterOptions:
    """The container, and its account: ``connection_string``, or ``account_url`` with a ``credential``.

    Without ``overwrite`` a document that is there is an error of its instance. Raises ValueError for what cannot be.
    """

    container_name: str
    connection_string: str | None = None
    account_url: str | None = None
    credential: Any = field(default=None, repr=False)
    api_version: str | None = None
    create_container_if_not_exists: bool = True
    overwrite: bool = True

    def __post_init__(self) -> None:
        if not self.container_name:
            raise ValueError("container_name must not be empty.")
        if bool(self.connection_string) == bool(self.account_url):
            raise ValueError("Name the storage account by one of connection_string and account_url.")
        if self.account_url and self.credential is None:
            raise ValueError("An account_url needs a credential.")


class AzureBlobHistoryExportWriter:
    """Writes documents to the container of its options; the container that a job names is not looked at."""

    def __init__(self, options: AzureBlobHistoryExportWriterOptions) -> None:
        self._options = options
        self._account = BlobAccount(
            connection_string=options.connection_string,
            account_url=options.account_url,
            credential=options.credential,
            api_version=options.api_version,
        )

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
        """See ``HistoryWriter``. Raises what azure-storage-blob raises."""
        options = self._options
        if options.create_container_if_not_exists:
            self._account.make_container(options.container_name)
        self._account.write(
            options.container_name,
            blob_name,
            payload,
            overwrite=options.overwrite,
            content_type=content_type,
            content_encoding=content_encoding,
            metadata=metadata,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._account.close()

    def __enter__(self) -> "AzureBlobHistoryExportWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
