"""Every route of the management API, below its prefix."""

from collections.abc import Awaitable, Callable

from perdure.client import TaskHubClient
from perdure.http_api import entities, orchestrations
from perdure.http_api.answers import Answer, ErrorShape
from perdure.http_api.options import ManagementOptions
from perdure.http_api.requests import Request
from perdure.http_api.routing import Route

PRIMARY_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
Handler = Callable[[Request, TaskHubClient, ManagementOptions], Awaitable[Answer]]


async def _openapi(request: Request, client: TaskHubClient, options: ManagementOptions) -> Answer:
    # Few ask for it, and the table behind it is large.
    from perdure.http_api import openapi

    return await openapi.serve(request, client, options)


ROUTES: tuple[Route[Handler], ...] = (
    Route("GET", "openapi.json", _openapi),
    Route("POST", "orchestrators/{name}", orchestrations.start),
    Route("POST", "orchestrators/{name}/{id}", orchestrations.start),
    Route("GET", "instances", orchestrations.list_instances),
    Route("DELETE", "instances", orchestrations.purge_many),
    Route("GET", "instances/{id}", orchestrations.status),
    Route("DELETE", "instances/{id}", orchestrations.purge),
    Route("POST", "instances/{id}/raiseevent/{event}", orchestrations.raise_event),
    Route("POST", "instances/{id}/terminate", orchestrations.terminate),
    Route("POST", "instances/{id}/suspend", orchestrations.suspend),
    Route("POST", "instances/{id}/resume", orchestrations.resume),
    Route("POST", "instances/{id}/rewind", orchestrations.rewind),
    Route("POST", "instances/{id}/restart", orchestrations.restart),
    *(Route(method, "makeprimary", orchestrations.make_primary) for method in PRIMARY_METHODS),
    Route("GET", "entities", entities.list_entities, ErrorShape.SHORT),
    Route("GET", "entities/{name}", entities.list_entities, ErrorShape.SHORT),
    Route("GET", "entities/{name}/{key}", entities.read, ErrorShape.SHORT),
    # No entity's name has an @, so this hides none.
    Route("POST", "entities/@clean", entities.clean, ErrorShape.SHORT),
    Route("POST", "entities/{name}", entities.signal, ErrorShape.SHORT),
    Route("POST", "entities/{name}/{key}", entities.signal, ErrorShape.SHORT),
    Route("DELETE", "entities/{name}", entities.delete, ErrorShape.SHORT),
    Route("DELETE", "entities/{name}/{key}", entities.delete, ErrorShape.SHORT),
)
