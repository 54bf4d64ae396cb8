"""A payload store in Azure blobs. Importing this needs azure-storage-blob (``pip install 'perdure[azure]'``)."""

from durabletask.extensions.azure_blob_payloads.store import BlobPayloadStore, BlobPayloadStoreOptions

__all__ = ["BlobPayloadStore", "BlobPayloadStoreOptions"]
