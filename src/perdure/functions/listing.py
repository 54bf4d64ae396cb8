"""What ``perdure start`` shows of the app: its functions, URLs, schedules (functions-host.md §16, cli.md §3)."""

from datetime import datetime

from perdure.functions.descriptions import HttpFunction, LoadedApp, TimerFunction, UserFunction
from perdure.functions.routes import full_route

_INDENT = " " * 8
_BUILT_IN = "builtin__"
"""Functions that SDKs register for themselves are not shown."""


def list_functions(
    app: LoadedApp, *, origin: str, prefix: str, now: datetime, management_path: str = "/runtime/webhooks/durabletask"
) -> list[str]:
    """The lines from the heading on: HTTP functions, the others, disabled ones, those not run; empty without any.

    ``origin`` is ``http://localhost:7071``; routes are printed as they were written. The management API's address
    stands last, when the app has something durable to manage.
    """
    lines = [_http_line(f, origin, prefix) for f in sorted(app.http, key=lambda f: f.call.name.lower())]
    lines += sorted((line for line in _other_lines(app, now) if not line.lower().startswith(_BUILT_IN)), key=str.lower)
    lines += [f"{f.name}: {f.trigger} (disabled)" for f in sorted(app.disabled, key=lambda f: f.name.lower())]
    lines += [f"{f.name}: {f.trigger} (not run here)" for f in sorted(app.foreign, key=lambda f: f.name.lower())]
    lines += [f"{f.name}: (left out: see above)" for f in sorted(app.broken, key=lambda f: f.name.lower())]
    if not lines:
        return []
    shown = ["Functions:", ""]
    for line in lines:
        shown += [_INDENT + line, ""]
    if app.orchestrators or app.entities:
        shown += [f"Durable management API: {origin}{management_path}", ""]
    return shown


def _http_line(function: HttpFunction, origin: str, prefix: str) -> str:
    methods = f"[{','.join(function.methods)}] " if function.methods else ""
    return f"{function.call.name}: {methods}{origin}/{full_route(prefix, function.route)}{_needs(function.call)}"


def _other_lines(app: LoadedApp, now: datetime) -> list[str]:
    return [
        *(_timer_line(timer, now) for timer in app.timers),
        *(f"{orchestrator.name}: orchestrationTrigger" for orchestrator in app.orchestrators),
        *(f"{activity.call.name}: activityTrigger{_needs(activity.call)}" for activity in app.activities),
        *(f"{entity.name}: entityTrigger" for entity in app.entities),
    ]


def _timer_line(timer: TimerFunction, now: datetime) -> str:
    due = timer.schedule.next_after(now).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{timer.call.name}: timerTrigger ({timer.schedule_text}, next {due}){_needs(timer.call)}"


def _needs(call: UserFunction) -> str:
    return f" (needs {', '.join(call.missing)})" if call.missing else ""
