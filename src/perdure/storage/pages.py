"""Where a page of records ends: after so many, or when they are large, sooner."""

from collections.abc import Iterable

from perdure.contracts.records import Page, PageKey
from perdure.core.instance import InstanceRecord

PAGE_CHARACTERS_MAX = 8_000_000
"""Of payload; the record that goes beyond is the page's last."""


def first_page(records: Iterable[InstanceRecord], limit: int) -> Page:
    """The first of these, in their order. No more are looked at than are on the page, and one."""
    page: list[InstanceRecord] = []
    left = PAGE_CHARACTERS_MAX
    for record in records:
        if len(page) == limit or left <= 0:
            last = page[-1].origin
            return Page(page, PageKey(last.created_at, last.instance_id))
        page.append(record)
        left -= _characters(record)
    return Page(page)


def _characters(record: InstanceRecord) -> int:
    progress = record.progress
    payloads = (record.origin.input, progress.output, progress.custom_status, progress.state)
    return sum(len(payload) for payload in payloads if payload is not None)
