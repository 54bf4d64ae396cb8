"""Which index a page of instances is read by. Whatever is asked for, few rows are looked at that are not shown.

In the order of creation there is an index of all and, by status, one of all that are not completed. An id's beginning
that few ids have is looked up by id.
"""

import sqlite3

import msgspec

from perdure.contracts.records import InstanceFilter, PageKey
from perdure.core.instance import InstanceKind
from perdure.core.status import RuntimeStatus
from perdure.storage.filters import Parameter, prefix_bounds, where_after
from perdure.storage.sqlite.statements import SQL

FEW_IDS = 1_000
"""So many rows are read and sorted faster than a long index is walked."""

_instances = SQL["instances"]
_order_of_instances = SQL["order_of_instances"]
_ids_between = SQL["ids_between"]


def page_query(cursor: sqlite3.Cursor, filter_: InstanceFilter, after: PageKey | None) -> tuple[str, list[Parameter]]:
    """The statement and its parameters, but for the last one: how many rows."""
    if (ids := _few_ids(cursor, filter_.id_prefix)) is not None:
        condition, parameters = where_after(filter_, after)
        # The plus keeps SQLite from walking the index by creation.
        arms = [f"+{condition} and id >= ? and id < ?"]
        parameters += ids
    elif filter_.kind is InstanceKind.ORCHESTRATION and filter_.statuses:
        arms, parameters = list[str](), list[Parameter]()
        for status in sorted(filter_.statuses):
            narrowed = msgspec.structs.replace(filter_, statuses=frozenset({status}))
            condition, more = where_after(narrowed, after)
            # The index is taken when its own condition stands there, and the plus keeps the other one out.
            is_common = status is RuntimeStatus.Completed
            arms.append(condition if is_common else f"+{condition} and kind = 0 and status <> 1")
            parameters += more
    else:
        condition, parameters = where_after(filter_, after)
        arms = [condition]
    selects = [_instances.replace(":condition", arm) for arm in arms]
    return f"{' union all '.join(selects)} {_order_of_instances}", parameters


def _few_ids(cursor: sqlite3.Cursor, prefix: str | None) -> tuple[str, str] | None:
    """The first id that begins so and the first one behind them all; None when many ids do."""
    bounds = prefix_bounds(prefix)
    if bounds is None:
        return None
    found = cursor.execute(_ids_between, (*bounds, FEW_IDS + 1)).fetchone()[0]
    return bounds if found <= FEW_IDS else None
