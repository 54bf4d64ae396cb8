"""The objects of triggers that do not exist here, made from what somebody sent by hand."""

import json
from collections.abc import Iterator
from typing import Any

from azure.functions.meta import Datum, get_binding_registry

_SPELLINGS = {
    name.lower(): name
    for name in (
        "queueTrigger", "blobTrigger", "serviceBusTrigger", "eventHubTrigger", "eventGridTrigger", "cosmosDBTrigger",
        "kafkaTrigger", "mysqlTrigger", "sqlTrigger", "warmupTrigger", "mcpToolTrigger", "mcpResourceTrigger",
        "mcpPromptTrigger", "connectorTrigger",
    )
}  # fmt: skip
"""function.json may write a type in any case; the library's table does not know it so."""

_METADATA = {name: Datum("{}", "json") for name in ("UserProperties", "SystemProperties")}
"""What the converters of message triggers insist on."""


class UnusableInput(ValueError):
    """The function cannot be run by hand with this input (400)."""


def foreign_input(trigger: str, input: Any, annotation: Any) -> Any:
    """The object of azure-functions that a trigger of this type hands over; for ``str`` and ``bytes``, the text.

    Raises UnusableInput naming the type when the library makes none of this input.
    """
    written = input if isinstance(input, str) else json.dumps(input)
    if annotation is str:
        return written
    if annotation is bytes:
        return written.encode("utf-8", "surrogatepass")
    converter: Any = get_binding_registry().get(_SPELLINGS.get(trigger.lower(), trigger))
    if converter is None:
        raise UnusableInput(f"A {trigger} cannot be run by hand: azure-functions makes no object of its input.")
    reasons: list[str] = []
    for datum in _data_of(input, written):
        try:
            return converter.decode(datum, trigger_metadata=_METADATA)
        except Exception as error:  # each converter refuses in its own way
            reasons.append(f"as {datum.type}: {error}")
    raise UnusableInput(f"azure-functions makes no {trigger} of this input ({'; '.join(reasons)}).")


def _data_of(input: Any, written: str) -> Iterator[Datum]:
    as_text, as_json = Datum(written, "string"), Datum(written, "json")
    if not isinstance(input, str):
        yield from (as_json, as_text)
        return
    yield as_text
    try:
        json.loads(written)
    except ValueError:
        return
    yield as_json
