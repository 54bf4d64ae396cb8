"""Functions of triggers that exist in Azure only: they are written all the same, and run here by hand."""

import string
from collections.abc import Mapping
from typing import Any

from perdure.cli.project.template import Template

_CODE = '''\
@$$app.$decorator($arguments)
def $$name($parameter: func.$type) -> None:
    """$says"""
    logging.info("%s got %s", "$$name", $shown)
'''
_MODULE = '''\
import logging

import azure.functions as func


def main($parameter: func.$type) -> None:
    """$says"""
    logging.info("got %s", $shown)
'''


def _foreign(
    title: str, *, decorator: str, binding: Mapping[str, Any], type: str, says: str, shown: str, **arguments: str
) -> Template:
    """``arguments`` are the decorator's besides ``arg_name``, ``binding`` what function.json says of the same."""
    name = str(binding["name"])
    written = ", ".join(f'{key}="{value}"' for key, value in {"arg_name": name, **arguments}.items())
    fields = {"decorator": decorator, "arguments": written, "parameter": name, "type": type, "says": says}
    word = title.removesuffix(" trigger").lower()
    return Template(
        title=title,
        default_name=title.title().replace(" ", ""),
        code=string.Template(_CODE).substitute(fields, shown=shown),
        module=string.Template(_MODULE).substitute(fields, shown=shown),
        bindings=({**binding, "direction": "in"},),
        imports=("import logging",),
        aliases=(word, f"azure {title.lower()}", word.replace(" ", ""), f"{word.replace(' ', '')} trigger"),
        is_foreign=True,
    )


FOREIGN = (
    _foreign(
        "Blob trigger",
        decorator="blob_trigger", type="InputStream", shown="blob.name",
        says="Runs for each blob that is new or changed.",
        binding={"type": "blobTrigger", "name": "blob", "path": "samples/{name}", "connection": "AzureWebJobsStorage"},
        path="samples/{name}", connection="AzureWebJobsStorage",
    ),
    _foreign(
        "Queue trigger",
        decorator="queue_trigger", type="QueueMessage", shown="message.get_body()",
        says="Runs for each message of the queue.",
        binding={
            "type": "queueTrigger", "name": "message", "queueName": "samples", "connection": "AzureWebJobsStorage",
        },
        queue_name="samples", connection="AzureWebJobsStorage",
    ),
    _foreign(
        "Event Grid trigger",
        decorator="event_grid_trigger", type="EventGridEvent", shown="event.subject",
        says="Runs for each event of the topics that it is subscribed to.",
        binding={"type": "eventGridTrigger", "name": "event"},
    ),
    _foreign(
        "Event Hub trigger",
        decorator="event_hub_message_trigger", type="EventHubEvent", shown="event.get_body()",
        says="Runs for each event of the hub.",
        binding={
            "type": "eventHubTrigger", "name": "event", "eventHubName": "samples", "connection": "EventHubConnection",
            "cardinality": "one",
        },
        event_hub_name="samples", connection="EventHubConnection",
    ),
    _foreign(
        "Service Bus queue trigger",
        decorator="service_bus_queue_trigger", type="ServiceBusMessage", shown="message.get_body()",
        says="Runs for each message of the queue.",
        binding={
            "type": "serviceBusTrigger", "name": "message", "queueName": "samples",
            "connection": "ServiceBusConnection",
        },
        queue_name="samples", connection="ServiceBusConnection",
    ),
    _foreign(
        "Service Bus topic trigger",
        decorator="service_bus_topic_trigger", type="ServiceBusMessage", shown="message.get_body()",
        says="Runs for each message that the subscription lets through.",
        binding={
            "type": "serviceBusTrigger", "name": "message", "topicName": "samples", "subscriptionName": "all",
            "connection": "ServiceBusConnection",
        },
        topic_name="samples", subscription_name="all", connection="ServiceBusConnection",
    ),
    _foreign(
        "Cosmos DB trigger",
        decorator="cosmos_db_trigger", type="DocumentList", shown="[document.to_json() for document in documents]",
        says="Runs for documents that are new or changed, some at a time.",
        binding={
            "type": "cosmosDBTrigger", "name": "documents", "databaseName": "samples", "containerName": "documents",
            "connection": "CosmosDBConnection", "leaseContainerName": "leases",
            "createLeaseContainerIfNotExists": True,
        },
        database_name="samples", container_name="documents", connection="CosmosDBConnection",
        lease_container_name="leases", create_lease_container_if_not_exists="true",
    ),
)  # fmt: skip
