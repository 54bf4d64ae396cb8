"""Whose figures a caller of the server's ``/metrics`` gets: those of the hubs that the token may see."""

from starlette.types import Scope

from perdure.grpc_api.access import Doorkeeper, Role
from perdure.host.hub_directory import HubDirectory, RunningHub
from perdure.host.hub_routes import standing_of
from perdure.host.metering import HubMeter
from perdure.host.metrics_route import Found, MetricsRoute, unknown_hub
from perdure.http_api.answers import Answer

_READERS = frozenset({Role.READER, Role.CONTRIBUTOR, Role.ADMIN})


def metrics_route(hubs: HubDirectory, doorkeeper: Doorkeeper | None) -> MetricsRoute:
    """The route; ``doorkeeper`` None: everybody sees everything."""
    return MetricsRoute(_Meters(hubs, doorkeeper).find)


class _Meters:
    def __init__(self, hubs: HubDirectory, doorkeeper: Doorkeeper | None) -> None:
        self._hubs = hubs
        self._doorkeeper = doorkeeper
        self._meters: dict[str, tuple[RunningHub, HubMeter]] = {}

    def find(self, scope: Scope, said: str | None) -> Found:
        """All hubs, the default one first, or the one that is named."""
        hubs = self._hubs.running()
        if self._doorkeeper is not None:
            standing = standing_of(scope, self._doorkeeper)
            if standing is None:
                return Answer(401)
            if standing.role not in _READERS:
                return Answer(403)
            hubs = [hub for hub in hubs if standing.sees(hub.name)]
        if said is not None:
            hubs = [hub for hub in hubs if hub.name.lower() == said.lower()]
            if not hubs:
                return unknown_hub(said)
        return [self._meter(hub) for hub in hubs]

    def _meter(self, hub: RunningHub) -> HubMeter:
        known = self._meters.get(hub.name.lower())
        if known is not None and known[0] is hub:
            return known[1]
        # Dropped ones, and those that were dropped and made again, are forgotten.
        running = {id(other) for other in self._hubs.running()}
        self._meters = {name: pair for name, pair in self._meters.items() if id(pair[0]) in running}
        meter = HubMeter(hub.name, hub.worker, hub.executor)
        self._meters[hub.name.lower()] = hub, meter
        return meter
