"""The group of the durable commands."""

import click

from perdure.cli.durable.entities import get_entity, list_entities, signal_entity
from perdure.cli.durable.reading import get_history, get_instances, get_runtime_status
from perdure.cli.durable.removing import delete_task_hub, purge_history
from perdure.cli.durable.starting import start_new, wait
from perdure.cli.durable.steering import raise_event, restart, resume, rewind, suspend, terminate
from perdure.cli.grammar import CONTEXT, ForgivingGroup


@click.group("durable", cls=ForgivingGroup, context_settings=CONTEXT)
def durable() -> None:
    """Orchestrations and entities of an app.

    While a host runs, these commands work through it; else they open the store.

    Example: perdure durable get-instances --top 20
    """


for _command in (
    start_new, get_runtime_status, get_instances, get_history, raise_event, terminate, suspend, resume, rewind,
    restart, wait, purge_history, delete_task_hub, list_entities, get_entity, signal_entity,
):  # fmt: skip
    durable.add_command(_command)
