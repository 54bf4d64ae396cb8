"""Links into the HTTP API (http-api.md §5). Braces in them are literal text that the caller replaces."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

INSTANCE_PLACEHOLDER = "INSTANCEID"
"""Stands for the instance id in the links that a binding hands to an SDK."""


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What all links of one answer share. ``base`` ends before ``/instances``; ``code`` None: no key configured."""

    base: str
    task_hub: str
    connection: str
    code: str | None = None

    def query(self) -> str:
        """``taskHub=…&connection=…&code=…``."""
        scope = f"taskHub={_encoded(self.task_hub)}&connection={_encoded(self.connection)}"
        return scope if self.code is None else f"{scope}&{self.key_query()}"

    def key_query(self) -> str:
        """``code=…``, or nothing."""
        return "" if self.code is None else f"code={_encoded(self.code)}"


def management_links(terms: LinkTerms, instance_id: str, *, failure_as_500: bool = False) -> dict[str, str]:
    """The management payload of one instance."""
    instance = f"{terms.base}/instances/{_encoded(instance_id)}"
    query = terms.query()
    status_query = f"{query}&returnInternalServerErrorOnFailure=true" if failure_as_500 else query
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}?{status_query}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{instance}?{query}",
        "restartPostUri": f"{instance}/restart?{query}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
    }


def creation_links(terms: LinkTerms) -> dict[str, str]:
    """The links that start any orchestration of the app."""
    start = f"{terms.base}/orchestrators/{{functionName}}[/{{instanceId}}]"
    wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
    key = terms.key_query()
    return {
        "createNewInstancePostUri": f"{start}?{key}" if key else start,
        "createAndWaitOnNewInstancePostUri": f"{start}?{wait}&{key}" if key else f"{start}?{wait}",
    }


def client_binding(terms: LinkTerms, token: str, rpc_base_url: str | None = None) -> dict[str, Any]:
    """What a durable client binding hands to user code, 1.x dialect; ``token`` finds the client in this process.

    ``rpc_base_url`` is where clients of the official package reach this host; None when nothing listens there.
    """
    binding = {
        "taskHubName": terms.task_hub,
        "connectionName": None,
        "creationUrls": creation_links(terms),
        "managementUrls": management_links(terms, INSTANCE_PLACEHOLDER),
        "baseUrl": terms.base,
        "requiredQueryStringParameters": terms.key_query(),
        "perdureClient": token,
    }
    return binding if rpc_base_url is None else {**binding, "rpcBaseUrl": rpc_base_url}


def _encoded(text: str) -> str:
    return quote(text, safe="")
