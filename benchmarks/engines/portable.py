"""Servers and workers of the scheduler's protocol, each in a process of its own; this process is the client only.

The client is the same for all: raw gRPC calls. Few wait at a time, since the official backend has ten threads for
everything.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import grpc
import grpc.aio

from benchmarks.engines import ENVIRONMENTS, environment_python
from benchmarks.engines.engine import Engine, at_most, waiting_ids
from benchmarks.host_process import free_port
from benchmarks.machine import ROOT
from benchmarks.measuring import cpu_seconds
from benchmarks.portable.empty_server import SERVICE as EMPTY_SERVICE
from perdure import __version__
from perdure.formats.protobuf import messages as pb
from perdure.formats.protobuf.service import RPCS

OFFICIAL = environment_python("durabletask")
PORTABLE = ENVIRONMENTS / "portable"
STARTERS, WAITERS = 200, 4
START_SECONDS_MAX = 30.0
CALL_SECONDS_MAX = 600.0
"""The official backend fails calls without a deadline."""
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
TURNS_AND_ACTIVITIES = 11
"""Work items of an orchestration of five activities in a row."""


class PortableEngine(Engine):
    """A server, a worker, and this client."""

    items_per_sequence = TURNS_AND_ACTIVITIES

    async def start(self) -> None:
        ports_file = self.folder / "ports.json"
        if not ports_file.exists():
            ports_file.write_text(json.dumps([free_port(), free_port()]))
        self.grpc_port, self.http_port = json.loads(ports_file.read_text())
        self.address = f"127.0.0.1:{self.grpc_port}"
        self.start_server()
        self._channel = grpc.aio.insecure_channel(self.address, UNLIMITED)
        await asyncio.wait_for(self._until_reached(), START_SECONDS_MAX)
        self.start_worker()

    async def stop(self) -> None:
        await self._channel.close()
        await super().stop()

    def start_server(self) -> None:
        """Start it, before the worker."""
        raise NotImplementedError

    def start_worker(self) -> None:
        """Start it."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        """Server and worker; the client is the benchmark's own."""
        return [server.pid for server in self.servers]

    def work_cpu_seconds(self) -> tuple[float, float]:
        """Processor time that the server and the worker have used so far."""
        server, worker = self.servers
        return cpu_seconds([server.pid]), cpu_seconds([worker.pid])

    async def single(self) -> None:
        await self._run("sequence", 1, '"Hello 0!"')

    async def sequences(self, count: int) -> None:
        ids = [f"a{time.time_ns()}-{number}" for number in range(count)]
        await at_most(STARTERS, lambda instance_id: self._start("sequence", 5, instance_id), ids)
        await at_most(WAITERS, lambda instance_id: self._completed(instance_id, '"Hello 4!"'), ids)

    async def fan_out(self, activities: int) -> None:
        await self._run("fan_out", activities, str(activities))

    async def long(self, steps: int) -> Sequence[float]:
        moments: list[float] = json.loads(await self._run("long", steps))
        return moments

    async def create_waiting(self, count: int) -> None:
        ids = waiting_ids(count)
        await at_most(STARTERS, lambda instance_id: self._start("wait", None, instance_id), ids)
        wait = RPCS["WaitForInstanceStart"]
        await at_most(WAITERS, lambda id_: self._call(wait.name, pb.GetInstanceRequest(instanceId=id_)), ids)

    async def release_waiting(self, count: int) -> None:
        async def release(instance_id: str) -> None:
            event = pb.RaiseEventRequest(instanceId=instance_id, name="go", input=pb.StringValue(value='"x"'))
            await self._call("RaiseEvent", event)

        ids = waiting_ids(count)
        await at_most(STARTERS, release, ids)
        await at_most(WAITERS, lambda instance_id: self._completed(instance_id, '"x"'), ids)

    def versions(self) -> dict[str, str]:
        return {"perdure": __version__, "grpcio": version("grpcio")}

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A fast one: the client is not what is measured."""
        import uvloop

        return uvloop.new_event_loop()

    async def call_raw(self, path: str, request: bytes) -> bytes:
        """One call."""
        answer: bytes = await self._channel.unary_unary(path)(request, timeout=CALL_SECONDS_MAX)
        return answer

    async def _call(self, name: str, request: Any) -> Any:
        rpc = RPCS[name]
        return rpc.answer.FromString(await self.call_raw(rpc.path, request.SerializeToString()))

    async def _run(self, name: str, given: int, output: str | None = None) -> str:
        instance_id = f"{name}-{time.time_ns()}"
        await self._start(name, given, instance_id)
        return await self._completed(instance_id, output)

    async def _start(self, name: str, given: int | None, instance_id: str) -> None:
        request = pb.CreateInstanceRequest(instanceId=instance_id, name=name)
        if given is not None:
            request.input.value = str(given)
        await self._call("StartInstance", request)

    async def _completed(self, instance_id: str, output: str | None) -> str:
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        state = (await self._call("WaitForInstanceCompletion", request)).orchestrationState
        found: str = state.output.value
        if state.orchestrationStatus != pb.ORCHESTRATION_STATUS_COMPLETED or output not in (None, found):
            raise AssertionError(f"{instance_id} ended as {state.orchestrationStatus} with {found!r}")
        return found

    async def _until_reached(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._channel.channel_ready(), 0.05)
                return
            except TimeoutError:
                if self.servers[0].poll() is not None:
                    raise RuntimeError(f"the server ended with code {self.servers[0].returncode}") from None


class _Served(PortableEngine):
    """``perdure serve`` as its users start it: SQLite with ``full`` durability."""

    program = "perdure"

    def start_server(self) -> None:
        ports = ("--grpc-port", str(self.grpc_port), "--http-port", str(self.http_port))
        store = ("--store", f"sqlite:{self.folder / 'hub.db'}")
        self.serve([sys.executable, "-m", self.program, "serve", *ports, *store], own_paths(), ROOT)


class GrpcioServed(_Served):
    """``perdure serve`` behind grpcio's server, with the lean worker: what our own transport is held against."""

    program = "benchmarks.portable.grpcio_serve"

    def start_worker(self) -> None:
        _lean_worker(self)


class GrpcioServedToOfficial(GrpcioServed):
    """With the official package's worker."""

    def start_worker(self) -> None:
        _official_worker(self)


class _InMemory(PortableEngine):
    """The official package's backend for tests, which keeps nothing."""

    def start_server(self) -> None:
        self.serve([str(OFFICIAL), str(PORTABLE / "backend.py"), str(self.grpc_port)], NO_PATHS)

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "durabletask": official_version()}


def _official_worker(engine: PortableEngine) -> None:
    engine.serve([str(OFFICIAL), str(PORTABLE / "program.py"), engine.address], NO_PATHS)


def _lean_worker(engine: PortableEngine) -> None:
    engine.serve([sys.executable, "-m", "benchmarks.portable.lean_worker", engine.address], own_paths(), ROOT)


class ServedToOfficial(_Served):
    """With the official package's worker."""

    def start_worker(self) -> None:
        _official_worker(self)

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "durabletask": official_version()}


class ServedToLean(_Served):
    """With the lean worker."""

    def start_worker(self) -> None:
        _lean_worker(self)


class ServedToOurs(_Served):
    """With the worker of our ``durabletask``."""

    def start_worker(self) -> None:
        self.serve([sys.executable, str(PORTABLE / "program.py"), self.address], own_paths())


class InMemoryToOfficial(_InMemory):
    """With the official package's worker."""

    def start_worker(self) -> None:
        _official_worker(self)


class InMemoryToLean(_InMemory):
    """With the lean worker."""

    def start_worker(self) -> None:
        _lean_worker(self)


class ScriptedToOfficial(PortableEngine):
    """The official package's worker, given its items by script: as fast as any server could make it."""

    def start_server(self) -> None:
        self.serve(
            [sys.executable, "-m", "benchmarks.portable.scripted_server", str(self.grpc_port)], own_paths(), ROOT
        )

    def start_worker(self) -> None:
        _official_worker(self)

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "durabletask": official_version()}


class EmptyServer(PortableEngine):
    """No engine at all: as many items and calls as a workload has, through gRPC and back."""

    program = "benchmarks.portable.empty_server"

    def start_server(self) -> None:
        command = [sys.executable, "-m", self.program, str(self.grpc_port)]
        self.serve(command, own_paths(), ROOT)

    def start_worker(self) -> None:
        self.serve([sys.executable, "-m", "benchmarks.portable.echo_worker", self.address], own_paths(), ROOT)

    async def single(self) -> None:
        await self._push(1)

    async def sequences(self, count: int) -> None:
        # Each orchestration is started and waited for: two calls of the client.
        pushing = asyncio.ensure_future(self._push(TURNS_AND_ACTIVITIES * count))
        await at_most(WAITERS, lambda _: self.call_raw(f"/{EMPTY_SERVICE}/Call", b"z" * 100), range(2 * count))
        await pushing

    async def fan_out(self, activities: int) -> None:
        await self._push(activities)

    def versions(self) -> dict[str, str]:
        return {"grpcio": version("grpcio")}

    async def _push(self, items: int) -> None:
        await self.call_raw(f"/{EMPTY_SERVICE}/Push", str(items).encode())


class OwnEmptyServer(EmptyServer):
    """The same on our own HTTP/2."""

    program = "benchmarks.portable.own_empty_server"


def own_paths() -> dict[str, str]:
    """For processes that run perdure: this checkout, installed or not."""
    return {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "sdks")))}


NO_PATHS = {"PYTHONPATH": ""}
"""For the official package, which must not find ours."""


def official_version() -> str:
    """What is installed beside us."""
    found = next((OFFICIAL.parents[1] / "lib").glob("python*/site-packages/durabletask-*.dist-info"))
    return found.name.removeprefix("durabletask-").removesuffix(".dist-info")
