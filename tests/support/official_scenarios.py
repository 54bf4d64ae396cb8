"""What the scenarios of ``tests/official/programs`` must see, whichever SDK plays them on our server."""

from typing import Any

_STEPS = [
    "OrchestratorStartedEvent",
    "ExecutionStartedEvent",
    "TaskScheduledEvent",
    "OrchestratorCompletedEvent",
    "OrchestratorStartedEvent",
    "TaskCompletedEvent",
    "OrchestratorCompletedEvent",
    "ExecutionCompletedEvent",
]
_CAUSES = ["builtins.ValueError", "outer", ["builtins.KeyError", "'inner'", None]]

EXPECTED: dict[str, Any] = {
    "sequence": [1, 2, 3],
    "fan_out": [100, 5050, [1, 2, 3]],
    "fan_out_children": [[n + 1, n + 2, n + 3] for n in range(5)],
    "timer": True,
    "timer_in_hops": [True, True],
    "any_of_two": [True, 5],
    "child_with_retry": 3,
    "retries": [3, ["builtins.ConnectionError", "try 2"]],
    "nested_failures": [
        ["TaskFailedError", "ValueError", "KeyError"],
        ["TaskFailedError", "TaskFailedError", "ValueError", "KeyError"],
        [True, _CAUSES],
        ["FAILED", ["builtins.LookupError", "nothing here", None]],
    ],
    "unknown_functions": ["FAILED", "OrchestratorNotRegisteredError"],
    "custom_status": ["done", "ok"],
    "continue_as_new": "down",
    "events_carried_over": [[0, 1, 2], [0, "time is up"]],
    "identifiers": [False, True, False, None],
    "scheduled_start": ["PENDING", [1, 2, 3], True],
    "entity_calls_and_signals": [[3, ["seen"]], 13],
    "entity_failures": [
        "TaskFailedError",
        5,
        "Operation 'fail' on entity '@counter@failing' failed with error: not 3",
    ],
    "entity_locks": [[False] * 5 + [True] * 5, 5, 50],
    "delayed_signal": [None, True],
    "entity_starts_an_orchestration": [4, 5, 6],
    "entity_signals_an_entity": 4,
    "entity_queries": [[[f"@counter@asked-{n}", n + 1] for n in range(5)], 4, 0],
    "large_payloads": [True, ["RESOURCE_EXHAUSTED", True], "COMPLETED"],
    "long_history": [6_000_000, 30, 6_000_060],
    "schedules": ["PAUSED", ["ACTIVE", "in_sequence", 3600.0], ["often"]],
    "events_before_and_after_the_wait": [[{"n": 0}, {"n": 1}], [0, 1, 2]],
    "events_between_orchestrations": ["told", ["from beside"]],
    "suspend_and_resume": ["SUSPENDED", ["before", "between", "after"]],
    "terminate": [
        ["TERMINATED", {"why": "enough"}, "TERMINATED"],
        "TERMINATED",
        ["TERMINATED", {"why": "enough"}, "RUNNING"],
        "TERMINATED",
    ],
    # The last two numbers: how often the activity before the broken one ran, and the broken one. What a purged
    # child had done is gone with it.
    "rewind": [
        ["plain", "FAILED", ["plain-sure works", "plain works"], 1, 2],
        ["tree", "FAILED", ["tree-sure works", "tree works"], 1, 2],
        ["purged", "FAILED", ["purged-sure works", "purged works"], 2, 2],
    ],
    "rewind_of_what_did_not_fail": ["FAILED_PRECONDITION", "NOT_FOUND"],
    "restart": [True, [6, 7, 8], True, [6, 7, 8], "NOT_FOUND"],
    "ids_taken": ["ALREADY_EXISTS", "ALREADY_EXISTS", [2, 3, 4]],
    "purge": [[1, 0], None, 0, [2, None]],
    "purge_by_filter": [0, True, [None, None, None]],
    "query_paging": [True, [0, 1, 2, 3, 4, 5, 6], "in_sequence", [], True],
    "ids_of_what_has_ended": [True, True, True],
    "history_and_tags": [_STEPS, [{"team": "blue"}, {"step": "one"}]],
    "unknown_instances": [None, 0, True, True],
    "asynchronous_client": [[0, 1], 1],
    "version_fails": {
        "NONE": ["1.0", "2.0", "2.1", "10.0"],
        "STRICT": ["VersionMismatch", "2.0", "VersionMismatch", "VersionMismatch"],
        "CURRENT_OR_OLDER": ["1.0", "2.0", "VersionMismatch", "VersionMismatch"],
    },
    "version_rejects": [["1.0", "PENDING", "2.0"], ["1.0", "PENDING", "3.0"]],
    "versions_of_children": ["1.2", "1.5"],
    "filters": [0, 2, 4, 6, 8],
    "started_before_any_worker": ["TERMINATED", 1, [4, 6], 2],
    "two_workers_share": [19900, 200, 0, True],
    "payloads_in_a_store": [True, ["kept:", "kept:"]],
    "properties_of_exceptions": ["refused with 403", {"code": 403, "final": True}],
    "dataclasses_as_payloads": [{"id": "a", "items": ["x", "Order"]}, True],
}

WITH_OUR_SDK: dict[str, Any] = {
    # Our clients take large messages without being told to.
    "large_payloads": [True, None, "COMPLETED"],
}
ON_THEIR_BACKEND: dict[str, Any] = {
    # That server keeps no cause of a child's failure.
    "nested_failures": [
        ["TaskFailedError", "ValueError", "KeyError"],
        ["TaskFailedError", "Exception"],
        *EXPECTED["nested_failures"][2:],
    ],
    "history_and_tags": [_STEPS, [{"team": "blue"}]],
}
"""Where the official package's own server for tests gives other answers, to the official SDK too."""
NOT_ON_THEIR_BACKEND = {
    "scheduled_start",
    "entity_calls_and_signals",
    "entity_locks",
    "delayed_signal",
    "entity_queries",
    "large_payloads",
    "long_history",
    "terminate",
    "purge",
    "started_before_any_worker",
}
"""What that server cannot do for the official SDK either: starts ahead of their time by a fraction of a second, states
before their first operation, deleted entities, messages beyond 4 MiB, recursive ends and purges, steering without a
worker."""

_JS_STEPS = [step.removesuffix("Event") for step in _STEPS]
_MISMATCH = ["FAILED", "VersionMismatch"]
WITH_JAVASCRIPT: dict[str, Any] = {
    **{
        name: EXPECTED[name]
        for name in (
            "sequence", "timer", "any_of_two", "child_with_retry", "custom_status", "continue_as_new",
            "events_carried_over", "scheduled_start", "events_before_and_after_the_wait",
            "events_between_orchestrations", "suspend_and_resume", "rewind", "delayed_signal",
            "entity_starts_an_orchestration",
        )
    },
    "fan_out": [100, 5050],
    "retries": [3, "gave up"],
    "failures": ["FAILED", "TaskFailedError"],
    "terminate": [["TERMINATED", "enough", "TERMINATED"], ["TERMINATED", "enough", "RUNNING"]],
    "rewind_of_what_did_not_fail": [True, True],
    "restart": [True, [6, 7, 8], True, [6, 7, 8]],
    "purge": [[1, 0, 2], None, None],
    "purge_by_filter": [True, None],
    "query_paging": [True, [3, 3, 1]],
    "ids_of_what_has_ended": True,
    "history_and_tags": [_JS_STEPS, [{"team": "blue"}, {"step": "one"}], {"team": "blue"}],
    "entity_calls_and_signals": [3, 13],
    "entity_failures": ["EntityOperationFailedException", 5],
    "entity_locks": [5, 5, 50],
    "entity_queries": EXPECTED["entity_queries"][0],
    "large_payloads": True,
    "long_history": [6_000_000, 30],
    "version_fails": {
        "None": ["1.0", "2.0", "10.0"],
        "Strict": [_MISMATCH, "2.0", _MISMATCH],
        "CurrentOrOlder": ["1.0", "2.0", _MISMATCH],
    },
    "version_rejects": ["1.0", "PENDING", "2.0"],
    "filters": [0, 2, 4],
    "started_before_any_worker": ["TERMINATED", 1, [3, 4, 5], [2, 3, 4]],
}  # fmt: skip
