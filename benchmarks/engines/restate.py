"""Restate: its server (one node) and its Python SDK behind hypercorn; the client speaks to the HTTP ingress."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.engines import ENVIRONMENTS
from benchmarks.engines.engine import Engine, at_most, waiting_ids

# The program itself, not the script around it: that would be one more process to count.
SERVERS = "node_modules/@restatedev/restate-server-*/bin/restate-server"
HERE = Path(__file__).resolve().parent
START_SECONDS_MAX = 30.0
SENDERS, STARTERS = 200, 2000


class RestateEngine(Engine):
    """Server and service processes; this process is the client only."""

    async def start(self) -> None:
        ports_file = self.folder / "ports.json"
        if not ports_file.exists():
            ports_file.write_text(json.dumps(_free_ports(4)))
        ingress, admin, node, service = json.loads(ports_file.read_text())
        self._ingress = f"http://127.0.0.1:{ingress}"
        self.serve(
            [str(_server_program()), "--no-logo"],
            {
                "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
                "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
                "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
                "RESTATE_BASE_DIR": str(self.folder / "data"),
                "RESTATE_NODE_NAME": "n1",
                "RESTATE_LISTEN_MODE": "tcp",
                "RESTATE_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "1",
                "RUST_LOG": "error",
            },
        )
        settings = f"file:{HERE / 'hypercorn_settings.py'}"
        address = f"127.0.0.1:{service}"
        app = "benchmarks.engines.restate_service:app"
        self.serve([sys.executable, "-m", "hypercorn", "--bind", address, "--config", settings, app])
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(600)
        )
        await self._until_accepted(f"http://127.0.0.1:{admin}/deployments", {"uri": f"http://{address}", "force": True})

    async def stop(self) -> None:
        await self._session.close()
        await super().stop()

    async def single(self) -> None:
        await self._post("bench/sequence", 1)

    async def sequences(self, count: int) -> None:
        await at_most(min(count, STARTERS), lambda _: self._post("bench/sequence", 5), range(count))

    async def fan_out(self, activities: int) -> None:
        answered = await self._post("bench/fan_out", activities)
        assert answered == activities, f"{answered} of {activities} activities answered"

    async def long(self, steps: int) -> Sequence[float]:
        moments: list[float] = await self._post("bench/long", steps)
        return moments

    async def create_waiting(self, count: int) -> None:
        await at_most(SENDERS, lambda id_: self._post(f"waiter/{id_}/run/send", "x"), waiting_ids(count))

    async def release_waiting(self, count: int) -> None:
        await at_most(SENDERS, lambda id_: self._post(f"waiter/{id_}/go", "x"), waiting_ids(count))
        await at_most(SENDERS, self._attach, waiting_ids(count))

    def versions(self) -> dict[str, str]:
        server = subprocess.run(
            [str(_server_program()), "--version"], capture_output=True, text=True, check=True
        ).stdout
        return {"restate-server": server.split()[-1], "restate-sdk": version("restate-sdk")}

    async def _attach(self, instance_id: str) -> None:
        async with self._session.get(f"{self._ingress}/restate/workflow/waiter/{instance_id}/attach") as answer:
            assert answer.status == 200, f"{instance_id}: {answer.status} {await answer.text()}"

    async def _post(self, path: str, body: Any) -> Any:
        text = ""
        for _ in range(50):
            async with self._session.post(f"{self._ingress}/{path}", json=body) as answer:
                if answer.status < 300:
                    return await answer.json() if answer.content_length else None
                text = f"{path}: {answer.status} {await answer.text()}"
                if answer.status < 500:
                    raise RuntimeError(text)
            await asyncio.sleep(0.1)
        raise RuntimeError(text)

    async def _until_accepted(self, url: str, body: dict[str, Any]) -> None:
        newest = "no answer"
        end = asyncio.get_running_loop().time() + START_SECONDS_MAX
        while asyncio.get_running_loop().time() < end:
            try:
                async with self._session.post(url, json=body) as answer:
                    if answer.status < 300:
                        return
                    newest = await answer.text()
            except aiohttp.ClientError as error:
                newest = str(error)
            await asyncio.sleep(0.02)
        raise RuntimeError(f"Restate did not accept the deployment in {START_SECONDS_MAX} s: {newest}")


def _server_program() -> Path:
    found = sorted((ENVIRONMENTS / ".env-restate" / "server").glob(SERVERS))
    if not found:
        raise RuntimeError("There is no restate-server in benchmarks/.env-restate: run benchmarks/install_peers.py")
    return found[0]


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
