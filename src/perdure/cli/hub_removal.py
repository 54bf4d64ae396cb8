"""Deleting a hub where its store is, for `hub drop` and `durable delete-task-hub`."""

from perdure.cli.confirming import confirm
from perdure.cli.exit_codes import USAGE
from perdure.cli.hub_files import delete_files, existing_file
from perdure.cli.output import fail
from perdure.cli.reaching import HubOptions, chosen_hub, place_of_store, settings_of
from perdure.cli.server_hubs import at_server, server_required


def drop_hub(reach: HubOptions, *, said_yes: bool) -> str:
    """Delete a hub; returns its name. Ends the command with exit code 3 while a process works on it."""
    from perdure.storage.places import ServerPlace

    if reach.url is not None:
        fail("A hub is deleted where its store is, while no host runs; --url does not do it.", USAGE)
    settings = chosen_hub(reach, settings_of(reach))
    place = place_of_store(settings)
    if isinstance(place, ServerPlace):
        at_server(server_required(place).status(settings.hub.name))
        where = place.shown
    else:
        where = str(existing_file(settings))
    confirm(f"Delete the task hub '{settings.hub_name}' ({where}) with everything in it?", said_yes=said_yes)
    if isinstance(place, ServerPlace):
        at_server(server_required(place).drop(settings.hub.name))
    else:
        delete_files(settings)
    return settings.hub_name
