from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from perdure.core.registry import EntityDefinition
from perdure.functions.descriptions import (
    ActivityFunction,
    DisabledFunction,
    EntityFunction,
    ForeignFunction,
    HttpFunction,
    LoadedApp,
    TimerFunction,
    UserFunction,
)
from perdure.functions.listing import list_functions
from perdure.functions.schedules import read_schedule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _call(name: str, *missing: str) -> UserFunction:
    return UserFunction(name, print, "x", "/app", missing=missing)


def test_lines_in_the_order_users_know() -> None:
    utc = ZoneInfo("UTC")
    app = LoadedApp(
        Path("/app"),
        "function_app.py",
        http=(
            HttpFunction(_call("open_all"), "{*rest}"),
            HttpFunction(_call("begin_order"), "orders/{id?}", ("GET", "POST")),
        ),
        timers=(TimerFunction(_call("nightly"), "0 0 2 * * *", read_schedule("0 0 2 * * *", utc)),),
        activities=(
            ActivityFunction(_call("notify"), "notify"),
            ActivityFunction(_call("Archive", "blob input"), "Archive"),
            ActivityFunction(_call("BuiltIn__HttpActivity"), "BuiltIn__HttpActivity"),
        ),
        entities=(EntityFunction("counter", EntityDefinition("counter", lambda entity_id, state: None)),),  # type: ignore[arg-type,return-value]
        foreign=(ForeignFunction(_call("on_queue"), "queueTrigger"),),
        disabled=(DisabledFunction("old", "httpTrigger"),),
    )
    shown = list_functions(app, origin="http://localhost:7071", prefix="api", now=NOW)
    assert shown[:2] == ["Functions:", ""]
    assert shown[-2:] == ["Durable management API: http://localhost:7071/runtime/webhooks/durabletask", ""]
    assert all(line.startswith(" " * 8) for line in shown[2:-2:2])
    assert [line.strip() for line in shown[2:-2] if line] == [
        "begin_order: [GET,POST] http://localhost:7071/api/orders/{id?}",
        "open_all: http://localhost:7071/api/{*rest}",
        "Archive: activityTrigger (needs blob input)",
        "counter: entityTrigger",
        "nightly: timerTrigger (0 0 2 * * *, next 2026-03-02T02:00:00Z)",
        "notify: activityTrigger",
        "old: httpTrigger (disabled)",
        "on_queue: queueTrigger (not run here)",
    ]


def test_an_app_without_functions_has_no_heading() -> None:
    assert list_functions(LoadedApp(Path("/app"), "function_app.py"), origin="http://x", prefix="", now=NOW) == []
