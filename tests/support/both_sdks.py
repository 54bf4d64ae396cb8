"""One app on two hosts, one for each SDK; what clients see of both is compared."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.host_process import HostProcess

Scenario = Callable[[HostProcess], Any]
Links = Mapping[str, str]

_TIMES = {"createdTime", "lastUpdatedTime", "Timestamp", "ScheduledTime", "FireAt", "ScheduledStartTime"}
_STACKS = {"Details", "StackTrace"}
_LOST = {"ErrorType", "InnerFailure"}
"""What the JSON protocol does not carry of a failure."""
_UNLIKE = [
    (re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\n(  File|    |\s+\^|Traceback).*", re.DOTALL), " <stack>"),
    (re.compile(r"127\.0\.0\.1:\d+|localhost:\d+"), "<address>"),
]


class BothSdks:
    """The app on our SDK and on the official one."""

    def __init__(self, ours: HostProcess, installed: HostProcess) -> None:
        self._ours = ours
        self._installed = installed

    def compare(self, scenario: Scenario) -> Any:
        """Play the scenario on both at once; what it returns must be equal, and is returned."""
        with ThreadPoolExecutor(2) as players:
            ours, installed = (
                players.submit(lambda host=host: masked(scenario(host))) for host in (self._ours, self._installed)
            )
            found = list(differences(ours.result(), installed.result()))
            assert not found, "ours, then installed:\n" + "\n".join(found)
            return ours.result()


def differences(ours: Any, installed: Any, place: str = "") -> Iterator[str]:
    """Where two values differ, one line each."""
    if isinstance(ours, dict) and isinstance(installed, dict):
        for name in sorted({*ours, *installed}):
            yield from differences(ours.get(name, "<none>"), installed.get(name, "<none>"), f"{place}.{name}")
    elif isinstance(ours, list | tuple) and isinstance(installed, list | tuple) and len(ours) == len(installed):
        for position, (first, second) in enumerate(zip(ours, installed, strict=True)):
            yield from differences(first, second, f"{place}[{position}]")
    elif ours != installed or type(ours) is not type(installed):
        yield f"{place}: {ours!r} | {installed!r}"


def masked(value: Any) -> Any:
    """The value without times, generated ids, addresses, stack texts and types of failures."""
    if isinstance(value, Mapping):
        left_out = _TIMES | _STACKS | _LOST
        fields = {name: masked(member) for name, member in value.items() if name not in left_out}
        return {**fields, "Input": _input(value["Input"])} if "Input" in fields else fields
    if isinstance(value, list | tuple):
        return [masked(member) for member in value]
    if isinstance(value, str):
        for pattern, replacement in _UNLIKE:
            value = pattern.sub(replacement, value)
    return value


def _input(text: str | None) -> Any:
    """How a JSON text is laid out is not compared, nor whether no input is written as null."""
    if text is None:
        return None
    try:
        return masked(json.loads(text))
    except ValueError:
        return masked(text)


def shown(host: HostProcess, links: Links) -> dict[str, Any]:
    """The status with its folded history."""
    return host.status(links, showHistory="true", showHistoryOutput="true", showInput="true")


def run(host: HostProcess, name: str, id: str, input: Any = None) -> dict[str, Any]:
    """Start an orchestration, wait for its end, show it."""
    links = host.start_instance(f"/api/start/{name}/{id}", input)
    host.finished(links)
    return shown(host, links)
