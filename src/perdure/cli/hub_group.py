"""`perdure hub …`: every command on task hubs as a whole."""

import click

from perdure.cli.grammar import CONTEXT, ForgivingGroup
from perdure.cli.hub_command import create, drop, list_hubs
from perdure.cli.hub_copying import copy
from perdure.cli.hub_operations import status, upgrade


@click.group("hub", cls=ForgivingGroup, context_settings=CONTEXT)
def hub() -> None:
    """Task hubs: the place where the state of an app is kept.

    Example: perdure hub list
    """


for _command in (list_hubs, create, drop, upgrade, status, copy):
    hub.add_command(_command)
