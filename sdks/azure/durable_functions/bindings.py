"""What the host puts into the text of a durable client binding (http-api.md §5.3)."""

import functools
import json
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit


class DurableOrchestrationBindings:
    """The task hub, the management links and the client of this process that a binding names.

    Keys that it does not know are kept in ``client_data``.
    """

    def __init__(
        self,
        taskHubName: str | None = None,
        creationUrls: dict[str, str] | None = None,
        managementUrls: dict[str, str] | None = None,
        rpcBaseUrl: str | None = None,
        perdureClient: str | None = None,
        **client_data: Any,
    ) -> None:
        self._task_hub_name = taskHubName
        self._creation_urls = creationUrls or {}
        self._management_urls = managementUrls or {}
        self._rpc_base_url = rpcBaseUrl
        self._client_token = perdureClient
        self._client_data = client_data

    @classmethod
    def from_json(cls, json_data: str) -> "DurableOrchestrationBindings":
        """Read a binding's text. Raises ValueError when it is none."""
        return _read(json_data)

    @property
    def task_hub_name(self) -> str | None:
        """The task hub's name."""
        return self._task_hub_name

    @property
    def creation_urls(self) -> dict[str, str]:
        """Links that start instances."""
        return self._creation_urls

    @property
    def management_urls(self) -> dict[str, str]:
        """Links for one instance; its id is the placeholder under the key ``id``."""
        return self._management_urls

    @property
    def rpc_base_url(self) -> str | None:
        """Where the host listens for clients of other processes."""
        return self._rpc_base_url

    @property
    def client_token(self) -> str | None:
        """Names the client attached in this process."""
        return self._client_token

    @property
    def client_data(self) -> dict[str, Any]:
        """Whatever else the host sent."""
        return self._client_data

    def links(self, instance_id: str, request_url: str | None = None) -> dict[str, str]:
        """The management payload of one instance; with a request's URL, the links have its scheme and authority."""
        placeholder = self._management_urls.get("id", "INSTANCEID")
        encoded_id = quote(instance_id, safe="")
        links = {
            key: url.replace(placeholder, encoded_id) if key != "id" else instance_id
            for key, url in self._management_urls.items()
        }
        if request_url is None:
            return links
        return {key: _moved(url, request_url) if key != "id" else url for key, url in links.items()}


def _moved(url: str, request_url: str) -> str:
    origin = urlsplit(request_url)
    if not origin.scheme or not origin.netloc:
        return url
    # Not urlunsplit alone: the links hold {text} and {eventName}, which must stay as they are.
    parts = urlsplit(url)
    return urlunsplit((origin.scheme, origin.netloc, parts.path, parts.query, parts.fragment))


@functools.lru_cache(maxsize=64)
def _read(text: str) -> DurableOrchestrationBindings:
    try:
        written = json.loads(text)
    except ValueError as error:
        raise ValueError(f"The durable client binding is not JSON: {error}") from None
    if not isinstance(written, dict):
        raise ValueError("The durable client binding is not a JSON object.")
    return DurableOrchestrationBindings(**written)
