"""How a hub on a database server is doing, as JSON for commands and for the admin endpoint."""

from typing import Any

from perdure.storage.server_hubs import HubStatus


def status_body(status: HubStatus, store: str) -> dict[str, Any]:
    """``store`` is the place as people may see it."""
    waiting = None if status.oldest_at is None else max(0.0, (status.now - status.oldest_at).total_seconds())
    return {
        "taskHub": status.name,
        "store": store,
        "schemaVersion": status.version,
        "size": status.size,
        "partitions": status.partition_count,
        "free": list(status.free),
        "hosts": [
            {
                "name": host.name,
                "alive": host.is_alive,
                "partitions": list(host.partitions),
                "leaseSeconds": round((host.lease_ends_at - status.now).total_seconds(), 3),
            }
            for host in status.hosts
        ],
        "messages": status.messages,
        "oldestSeconds": waiting,
        "activities": status.activities,
        "connections": status.connections,
        "connectionsMax": status.connections_max,
    }


def status_of_one(hub: str, store: str, host: str | None) -> dict[str, Any]:
    """Of a store that one process holds: it is one partition, whole in that process's hands."""
    hosts = [] if host is None else [{"name": host, "alive": True, "partitions": [0], "leaseSeconds": None}]
    return {"taskHub": hub, "store": store, "partitions": 1, "free": [] if hosts else [0], "hosts": hosts}
