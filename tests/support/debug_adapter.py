"""What an editor says to a debugger: the Debug Adapter Protocol over a socket, as little of it as the tests need."""

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

SECONDS_MAX = 30.0


class DebugClient:
    """``with DebugClient(port) as editor``: attached on entry, detached on exit."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((address, port), timeout=SECONDS_MAX)
        self._file = self._socket.makefile("rb")
        self._sent = 0
        self._events: list[dict[str, Any]] = []

    def attach(self, *, file: Path, line: int, configuration: dict[str, Any] | None = None) -> None:
        """Attach, with one breakpoint, and let the program go on."""
        self._begin("attach", configuration or {"justMyCode": False}, file, line)

    def launch(self, *, file: Path, line: int, configuration: dict[str, Any]) -> None:
        """Begin a program as an editor does, with one breakpoint."""
        self._begin("launch", configuration, file, line)

    def attach_to_child(self, *, file: Path, line: int) -> "DebugClient":
        """Wait for a new process of the program and attach to it, as an editor does."""
        configuration = self.event("debugpyAttach")
        child = DebugClient(configuration["connect"]["port"])
        child.attach(file=file, line=line, configuration=configuration)
        return child

    def _begin(self, how: str, configuration: dict[str, Any], file: Path, line: int) -> None:
        self.ask("initialize", {"adapterID": "test", "pathFormat": "path", "linesStartAt1": True})
        begun = self._send(how, configuration)
        self.event("initialized")
        place = {"source": {"path": str(file)}, "breakpoints": [{"line": line}], "lines": [line]}
        found = self.ask("setBreakpoints", place)["breakpoints"]
        assert [breakpoint_["verified"] for breakpoint_ in found] == [True], found
        self.ask("configurationDone", {})
        self._answer(begun)

    def close(self) -> None:
        """Hang up without a word."""
        self._file.close()
        self._socket.close()

    def stopped(self) -> int:
        """Wait until a thread stands at the breakpoint; returns its id."""
        stop = self.event("stopped")
        assert stop["reason"] == "breakpoint", stop
        return stop["threadId"]

    def line(self, thread: int) -> int:
        """Where a thread stands."""
        return self.ask("stackTrace", {"threadId": thread, "levels": 1})["stackFrames"][0]["line"]

    def go_on(self, thread: int) -> None:
        """Let a thread continue."""
        self.ask("continue", {"threadId": thread})

    def ask(self, request: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        return self._answer(self._send(request, arguments))

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event; returns what it says."""
        while True:
            for position, event in enumerate(self._events):
                if event["event"] == name:
                    return self._events.pop(position).get("body", {})
            self._read()

    def __enter__(self) -> "DebugClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.ask("disconnect", {"terminateDebuggee": False})
        finally:
            self.close()

    def _send(self, request: str, arguments: dict[str, Any]) -> int:
        self._sent += 1
        message = {"seq": self._sent, "type": "request", "command": request, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return self._sent

    def _answer(self, sent: int) -> dict[str, Any]:
        while True:
            message = self._read()
            if message["type"] == "response" and message["request_seq"] == sent:
                assert message["success"], message
                return message.get("body") or {}

    def _read(self) -> dict[str, Any]:
        length = 0
        while (header := self._file.readline().strip()) != b"":
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the debugger has hung up"
        message: dict[str, Any] = json.loads(self._file.read(length))
        if message["type"] == "event":
            self._events.append(message)
        return message
