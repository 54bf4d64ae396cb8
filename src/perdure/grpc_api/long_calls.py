"""How many calls may last at a time: waits and streams of work items, of all connections."""

from types import TracebackType

from perdure.grpc_api.statuses import Code, Refused

LONG_CALLS_MAX = 100_000
"""A waiting call takes some 11 KB. Each connection alone may have ten thousand, and would be one of ten thousand."""


class LongCalls:
    """``with long_calls:`` round one call that may last. Raises Refused when there are too many."""

    def __init__(self) -> None:
        self._under_way = 0

    def __enter__(self) -> None:
        if self._under_way >= LONG_CALLS_MAX:
            # Nothing was done for it, and it may come again.
            raise Refused(
                Code.UNAVAILABLE,
                f"The server has as many waiting calls and work item streams as it takes, {LONG_CALLS_MAX}.",
            )
        self._under_way += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._under_way -= 1
