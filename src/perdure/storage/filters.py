"""InstanceFilter → WHERE and parameters, shared by the SQL storages; and as a predicate, for the reference model."""

import sys
from collections.abc import Callable, Collection
from datetime import datetime

import msgspec

from perdure.contracts.records import EndedFilter, InstanceFilter, PageKey
from perdure.core.instance import InstanceKind, InstanceRecord
from perdure.core.status import TERMINAL, RuntimeStatus
from perdure.storage.rows import micros

Parameter = int | str
PurgeKey = tuple[int, str]
"""When an instance was created, in microseconds, and its id."""
_SURROGATES = range(0xD800, 0xE000)


def purge_filter(filter_: InstanceFilter) -> InstanceFilter | None:
    """The terminal orchestrations among those that match; None when there can be none."""
    statuses = TERMINAL if filter_.statuses is None else filter_.statuses & TERMINAL
    if filter_.kind is not InstanceKind.ORCHESTRATION or not statuses:
        return None
    return InstanceFilter(
        InstanceKind.ORCHESTRATION,
        filter_.created_from,
        filter_.created_to,
        filter_.updated_from,
        filter_.updated_to,
        statuses,
        filter_.id_prefix,
        filter_.name,
    )


def where(filter_: InstanceFilter, folded_name: str = "casefold(name)") -> tuple[str, list[Parameter]]:
    """A condition over the instance table's columns; ``folded_name`` is the storage's expression for just that."""
    conditions = ["kind = ?"]
    parameters: list[Parameter] = [int(filter_.kind)]

    def add(condition: str, *values: Parameter) -> None:
        conditions.append(condition)
        parameters.extend(values)

    if filter_.created_from is not None:
        add("created_at >= ?", micros(filter_.created_from))
    if filter_.created_to is not None:
        add("created_at <= ?", micros(filter_.created_to))
    if filter_.updated_from is not None:
        add("updated_at >= ?", micros(filter_.updated_from))
    if filter_.updated_to is not None:
        add("updated_at <= ?", micros(filter_.updated_to))
    if filter_.statuses is not None:
        add(_one_of(filter_.statuses))
    if filter_.id_prefix:
        add("substr(id, 1, ?) = ?", len(filter_.id_prefix), filter_.id_prefix)
    if filter_.name is not None:
        add(f"{folded_name} = ?", filter_.name.casefold())
    if filter_.existing_entities_only and filter_.kind is InstanceKind.ENTITY:
        add("state is not null")
    return " and ".join(conditions), parameters


Condition = tuple[str, list[Parameter]]
"""A condition of a statement, and its parameters."""


def where_after(
    filter_: InstanceFilter, after: PageKey | None, where: Callable[[InstanceFilter], Condition] = where
) -> Condition:
    """The same for one page, in the order of creation."""
    if after is not None and filter_.created_from is not None and filter_.created_from <= after.created_at:
        # It says nothing more, and an index by creation would be walked from there for every page.
        filter_ = msgspec.structs.replace(filter_, created_from=None)
    condition, parameters = where(filter_)
    if after is not None:
        condition += " and (created_at, id) > (?, ?)"
        parameters += [micros(after.created_at), after.instance_id]
    return condition, parameters


def prefix_bounds(prefix: str | None) -> tuple[str, str] | None:
    """The first id that begins so, and the first one behind them all; None when that is no bound."""
    if not prefix:
        return None
    last = ord(prefix[-1])
    if last == sys.maxunicode:
        return None
    behind = last + 1 if last + 1 not in _SURROGATES else _SURROGATES.stop
    return prefix, prefix[:-1] + chr(behind)


def _one_of(statuses: Collection[RuntimeStatus]) -> str:
    """The numbers are ours, so they may stand in the text. Not every database knows an empty list."""
    return f"status in ({', '.join(str(int(status)) for status in sorted(statuses))})" if statuses else "1 = 0"


def predicate(filter_: InstanceFilter) -> Callable[[InstanceRecord], bool]:
    """The same condition in Python."""

    def matches(record: InstanceRecord) -> bool:
        origin, progress = record.origin, record.progress
        return (
            origin.kind is filter_.kind
            and (filter_.created_from is None or origin.created_at >= filter_.created_from)
            and (filter_.created_to is None or origin.created_at <= filter_.created_to)
            and (filter_.updated_from is None or progress.updated_at >= filter_.updated_from)
            and (filter_.updated_to is None or progress.updated_at <= filter_.updated_to)
            and (filter_.statuses is None or progress.status in filter_.statuses)
            and (not filter_.id_prefix or origin.instance_id.startswith(filter_.id_prefix))
            and (filter_.name is None or origin.name.casefold() == filter_.name.casefold())
            and (
                not filter_.existing_entities_only
                or origin.kind is not InstanceKind.ENTITY
                or progress.state is not None
            )
        )

    return matches


def where_ended(filter_: EndedFilter) -> tuple[str, list[Parameter]]:
    """A condition over the columns of instances that have ended."""
    # Only orchestrations end; the first condition is that of the index.
    conditions, parameters = ["completed_at is not null"], list[Parameter]()
    if filter_.completed_from is not None:
        conditions.append("completed_at >= ?")
        parameters.append(micros(filter_.completed_from))
    if filter_.completed_before is not None:
        conditions.append("completed_at < ?")
        parameters.append(micros(filter_.completed_before))
    if filter_.statuses is not None:
        conditions.append(_one_of(filter_.statuses))
    return " and ".join(conditions), parameters


def ended_predicate(filter_: EndedFilter) -> Callable[[InstanceRecord], tuple[datetime, str] | None]:
    """The same in Python: the place of a record among those that match, None when it does not."""

    def place(record: InstanceRecord) -> tuple[datetime, str] | None:
        at, status = record.progress.completed_at, record.progress.status
        if (
            at is None
            or (filter_.completed_from is not None and at < filter_.completed_from)
            or (filter_.completed_before is not None and at >= filter_.completed_before)
            or (filter_.statuses is not None and status not in filter_.statuses)
        ):
            return None
        return at, record.origin.instance_id

    return place
