"""Conditions with numbered parameters, and which index a page of instances is read by.

In the order of creation there is an index of all and, by status, one of all that are not completed. An id's beginning
that few ids have is looked up by id.
"""

from itertools import count
from re import sub
from typing import Any

import msgspec

from perdure.contracts.records import EndedFilter, EndedKey, InstanceFilter, PageKey
from perdure.core.instance import InstanceKind
from perdure.core.status import RuntimeStatus
from perdure.storage.filters import Parameter, PurgeKey, prefix_bounds, where, where_after, where_ended
from perdure.storage.rows import micros

FEW_IDS = 1_000
"""So many rows are read and sorted faster than a long index is walked."""
FOLDED_NAME = "coalesce(folded_name, name)"
_ORDER = "order by created_at, id limit ?"

Asked = tuple[str, list[Any]]
"""A statement and its parameters."""


def numbered(text: str) -> str:
    """Every ``?`` becomes $1, $2 …; none stands in a literal of ours."""
    numbers = count(1)
    return sub(r"\?", lambda _: f"${next(numbers)}", text)


def page_query(
    sql: dict[str, str], filter_: InstanceFilter, limit: int, after: PageKey | None, few: tuple[str, str] | None
) -> Asked:
    """``few``: the bounds of the ids that begin as asked for, when few do."""
    if few is not None:
        condition, parameters = where_after(msgspec.structs.replace(filter_, id_prefix=None), after, _where)
        source, arms, parameters = sql["few_instances"], [condition], [*few, *parameters]
    elif filter_.kind is InstanceKind.ORCHESTRATION and filter_.statuses:
        source, arms, parameters = sql["every_instance"], list[str](), list[Parameter]()
        for status in sorted(filter_.statuses):
            narrowed = msgspec.structs.replace(filter_, statuses=frozenset({status}))
            condition, more = where_after(narrowed, after, _where)
            # The index is taken when its own condition stands there.
            arms.append(condition if status is RuntimeStatus.Completed else f"{condition} and kind = 0 and status <> 1")
            parameters += more
    else:
        condition, parameters = where_after(filter_, after, _where)
        source, arms = sql["every_instance"], [condition]
    select = sql["instances"].replace(":source", source)
    selects = [f"({select.replace(':condition', arm)} {_ORDER})" for arm in arms]
    if len(selects) == 1:
        return numbered(selects[0]), [*parameters, limit]
    text = f"select * from ({' union all '.join(selects)}) arms {_ORDER}"
    return numbered(text), _with_limits(arms, parameters, limit)


def _with_limits(arms: list[str], parameters: list[Parameter], limit: int) -> list[Any]:
    """Each arm has its own limit, behind its own parameters."""
    placed: list[Any] = []
    first = 0
    for arm in arms:
        last = first + arm.count("?")
        placed += [*parameters[first:last], limit]
        first = last
    return [*placed, limit]


def _where(filter_: InstanceFilter) -> tuple[str, list[Parameter]]:
    """By bounds, an id's beginning is something that the planner can judge."""
    bounds = prefix_bounds(filter_.id_prefix)
    if bounds is None:
        return where(filter_, FOLDED_NAME)
    condition, parameters = where(msgspec.structs.replace(filter_, id_prefix=None), FOLDED_NAME)
    return f"{condition} and id >= ? and id < ?", [*parameters, *bounds]


def purge_query(select: str, narrowed: InstanceFilter, limit: int, after: PurgeKey | None) -> Asked:
    condition, parameters = _where(narrowed)
    if after is not None:
        condition += " and (created_at, id) > (?, ?)"
        parameters += after
    return numbered(select.replace(":condition", condition).replace(":limit", "?")), [*parameters, limit]


def ended_query(select: str, filter_: EndedFilter, limit: int, after: EndedKey | None) -> Asked:
    condition, parameters = where_ended(filter_)
    if after is not None:
        condition += " and (completed_at, id) > (?, ?)"
        parameters += [micros(after.completed_at), after.instance_id]
    return numbered(select.replace(":condition", condition).replace(":limit", "?")), [*parameters, limit]
