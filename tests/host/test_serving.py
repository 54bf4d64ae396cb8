"""`perdure serve` as a user runs it: its doors, its start and its end (cli.md §8, scheduler.md §7)."""

import asyncio
import datetime
import json
import signal
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from perdure.formats.protobuf import messages as pb
from perdure.host.options import StartFailed
from perdure.host.serve_options import ServeOptions, TlsFiles
from perdure.host.serving import SchedulerServer
from support.commands import command, value_of
from support.grpc_worker import Worker, completes
from support.host_process import free_port
from support.idle_workers import beginning_of, connect
from support.scheduler_server import RawClient, code_of
from support.serve_process import ServeProcess

PREFIX = "/runtime/webhooks/durabletask"


def run(server: ServeProcess, scenario: Callable[[RawClient], Coroutine[Any, Any, None]], **headers: Any) -> None:
    async def with_client() -> None:
        async with asyncio.timeout(30), server.client(**headers) as client:
            await scenario(client)

    asyncio.run(with_client())


async def _start_and_terminate(client: RawClient) -> None:
    await client.StartInstance(instanceId="x", name="flow", input=pb.StringValue(value="[1]"))
    await client.TerminateInstance(instanceId="x")


def test_one_server_from_its_start_to_its_end(tmp_path: Path) -> None:
    with ServeProcess(tmp_path, "--hubs", "default,Orders") as server:
        health = server.http.get("/health").json()
        assert (health["status"], health["taskHubs"]) == ("ready", ["default", "Orders"])

        async def talk(client: RawClient) -> None:
            await _start_and_terminate(client.to(taskhub="orders"))
            assert not (await client.GetInstance(instanceId="x")).exists
            check = client.channel.unary_unary("/grpc.health.v1.Health/Check")
            assert await check(b"") == b"\x08\x01"
            assert await check(b"\x0a\x15TaskHubSidecarService") == b"\x08\x01"
            assert (await code_of(check(b"\x0a\x04nope")))[0] is grpc.StatusCode.NOT_FOUND
            assert (await code_of(check(b"\xff")))[0] is grpc.StatusCode.INVALID_ARGUMENT

        run(server, talk)
        # The same hub over HTTP, and for commands on the store that the server holds.
        seen = server.http.get(f"{PREFIX}/instances/x", params={"taskHub": "ORDERS"})
        assert (seen.status_code, seen.json()["runtimeStatus"]) == (200, "Terminated")
        assert server.http.get(f"{PREFIX}/instances/x").status_code == 404
        assert server.http.get(f"{PREFIX}/instances/x", params={"taskHub": "nope"}).status_code == 404
        store = f"sqlite:{tmp_path / '.perdure' / 'hub.orders.db'}"
        listed = command("durable", "get-runtime-status", "--id", "x", "--store", store)
        assert '"Name": "flow"' in listed.out, listed
        at = ("--url", server.url)
        assert [hub["taskHub"] for hub in value_of("hub", "list", *at, "--json")] == ["default", "Orders"]
        assert value_of("hub", "create", "Fresh", *at, "--json") == {"taskHub": "Fresh", "created": True}
        assert value_of("hub", "create", "fresh", *at, "--json") == {"taskHub": "fresh", "created": False}
        assert server.http.get(f"{PREFIX}/instances", params={"taskHub": "FRESH"}).json() == []
        assert command("hub", "create", "a.b", *at).code == 2
        assert command("hub", "drop", "Fresh", "--yes", *at).code == 0
        assert command("hub", "drop", "Fresh", "--yes", *at).code == 4
        assert server.http.get(f"{PREFIX}/instances", params={"taskHub": "FRESH"}).status_code == 404
        foreign = {"Origin": "http://elsewhere.example"}
        assert server.http.post("/admin/perdure/hubs/theirs", headers=foreign).status_code == 403
        server.http.post(f"{PREFIX}/orchestrators/nobodys_flow/idle", json=1)
        idle = value_of("durable", "get-runtime-status", "--id", "idle", "--show-waiting", *at)
        assert [reason["reason"] for reason in idle["WaitingOn"]] == [
            "no connected worker has orchestrator 'nobodys_flow'"
        ]
        # One that waits learns of the end, and the worker's stream ends in order.
        ended = asyncio.run(_end_while_waiting(server))
        assert ended == (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK, 0)
        server.start()
        assert server.http.get(f"{PREFIX}/instances/x", params={"taskHub": "orders"}).status_code == 200
    log = server.log()
    for line in ("Task hub: default", "Task hub: Orders", "durability full", f"localhost:{server.grpc_port}",
                 f"localhost:{server.port}", "everybody who reaches the port", "this machine only"):  # fmt: skip
        assert line in log, log


async def _end_while_waiting(server: ServeProcess) -> tuple[Any, Any, int]:
    only_flow = pb.WorkItemFilters(orchestrations=[pb.OrchestrationFilter(name="flow")])
    async with server.client() as client, Worker(client, workItemFilters=only_flow) as worker:
        await client.StartInstance(instanceId="waits", name="flow")
        await worker.complete_turn(await worker.next_turn())
        waiting = asyncio.ensure_future(code_of(client.WaitForInstanceCompletion(instanceId="waits")))
        await client.GetInstance(instanceId="waits")
        server.send_signal(signal.SIGTERM)
        code, _ = await waiting
        stream = await worker.call.code()
        return code, stream, await asyncio.to_thread(server.ended, 20)


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    with ServeProcess(tmp_path) as server:

        async def begin(client: RawClient) -> None:
            await asyncio.gather(*(client.StartInstance(instanceId=f"x{n}", name="flow") for n in range(20)))
            async with Worker(client) as worker:
                for _ in range(5):
                    await worker.next_turn()
            await client.SignalEntity(instanceId="@counter@a", name="add", requestId="")

        async def finish(client: RawClient) -> None:
            seen: set[str] = set()
            async with Worker(client) as worker:
                while len(seen) < 21:
                    item = await worker.next_item()
                    if item.WhichOneof("request") == "entityRequestV2":
                        await worker.complete_entity(item, state="1")
                        seen.add(item.entityRequestV2.instanceId)
                    else:
                        await worker.complete_turn(item, completes(1, '"done"'))
                        seen.add(item.orchestratorRequest.instanceId)
            for number in range(20):
                answer = await client.WaitForInstanceCompletion(instanceId=f"x{number}")
                assert answer.orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED

        run(server, begin)
        server.kill()
        server.start()
        run(server, finish)


async def is_known(client: RawClient) -> bool:
    """Whether the client's token is taken; it may read."""
    try:
        await client.GetInstance(instanceId="x")
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            return False
        raise
    return True


def test_tokens_decide_at_both_doors_and_change_while_the_server_runs(tmp_path: Path) -> None:
    place = ("--store", str(tmp_path / ".perdure" / "hub.db"))
    admin = value_of("token", "create", "--role", "admin", *place, "--json")["token"]
    with ServeProcess(tmp_path, "--auth") as server:
        url = f"{PREFIX}/instances"
        assert server.http.get("/health").json()["taskHubs"] is None
        assert server.http.get(url).status_code == 401
        assert server.http.get(url, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert server.http.get(url, headers={"authorization": f"Bearer {admin}"}).status_code == 200
        assert server.http.get(url, headers={"x-functions-key": admin}).status_code == 200
        made = value_of("token", "create", "--role", "reader", *place, "--json")
        reader = {"authorization": f"Bearer {made['token']}"}

        async def reads(client: RawClient) -> None:
            while not await is_known(client):
                pass
            code, _ = await code_of(client.StartInstance(instanceId="x", name="flow"))
            assert code is grpc.StatusCode.PERMISSION_DENIED

        async def is_refused(client: RawClient) -> None:
            while await is_known(client):
                pass

        run(server, reads, **reader)
        assert server.http.get(url, headers=reader).status_code == 200
        assert server.http.post(f"{PREFIX}/orchestrators/flow", headers=reader, json=1).status_code == 403
        assert server.http.get("/admin/perdure/verify", headers=reader).status_code == 403
        assert server.http.get("/admin/perdure/hubs").status_code == 401
        assert server.http.get("/admin/perdure/hubs", headers=reader).status_code == 200
        assert server.http.post("/admin/perdure/hubs/more", headers=reader).status_code == 403
        assert command("hub", "create", "more", "--url", server.url).code == 3
        assert command("hub", "create", "more", "--url", server.url, "--code", admin).code == 0
        assert command("token", "revoke", made["id"], *place).code == 0
        run(server, is_refused, **reader)
        assert server.http.get(url, headers=reader).status_code == 401
    assert admin not in server.log()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


class Encrypted(ServeProcess):
    """Its own readiness is asked without a look at the certificate."""

    def launch(self) -> None:
        self.http.close()
        self.url = self.url.replace("http:", "https:")
        self.http = httpx.Client(base_url=self.url, timeout=30, verify=False)
        super().launch()


def test_both_doors_speak_tls(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    with Encrypted(tmp_path, "--memory", "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        assert server.http.get("/health").json()["store"] == "memory"

        async def talk() -> None:
            trust = grpc.ssl_channel_credentials(certificate.read_bytes())
            async with asyncio.timeout(30), server.client(trust) as client:
                assert await client.Hello() == pb.Empty()
            async with server.client() as client:
                assert (await code_of(client.Hello(seconds=2)))[0] in (
                    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
                )  # fmt: skip

        asyncio.run(talk())
    assert "TLS" in server.log()


def test_a_server_that_may_open_few_files_takes_fewer_connections_and_says_so(tmp_path: Path) -> None:
    with ServeProcess(tmp_path, open_files=300) as server:
        asyncio.run(_connect_too_often(server))
        # What the store opens is not what callers have taken.
        assert server.http.post(f"{PREFIX}/orchestrators/flow/y", json=1).status_code == 202
        log = server.log()
    assert "this process may not open enough files for 10000 gRPC connections; it takes 150." in log
    assert "gRPC connections are refused: there are as many as the server takes, 150." in log


async def _connect_too_often(server: ServeProcess) -> None:
    beginning = beginning_of("default")
    workers = [await connect(server.grpc_port, beginning) for _ in range(200)]
    async with asyncio.timeout(20):
        farewells = [await worker.ended for worker in workers[150:]]
    assert farewells == [b"The server has as many connections as it takes, 150."] * 50
    assert not any(worker.ended.done() for worker in workers[:150])
    for worker in workers:
        worker.close()


def test_the_emulators_variables_are_honoured(tmp_path: Path) -> None:
    environment = {"DTS_TASK_HUB_NAMES": "one, two", "DTS_EMULATOR_LOG_LEVEL": "Debug"}
    with ServeProcess(tmp_path, environment=environment) as server:
        assert server.http.get("/health").json()["taskHubs"] == ["one", "two"]
        # And a second server on the same store is told who has it.
        store = f"sqlite:{tmp_path / '.perdure' / 'hub.two.db'}"
        refused = _refused(ServeOptions(store_url=store, grpc_port=free_port(), http_port=free_port()))
        assert (refused.code, f"in use by process {server.pid}" in str(refused)) == (3, True), refused
        assert f"http://localhost:{server.port}" in str(refused)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "needs --tls-cert and --tls-key; or --insecure"),
        (["--host", "everywhere"], 2, "--host takes an IP address"),
        (["--hubs", "a/b"], 2, "'a/b' is no name of a task hub"),
        (["--memory", "--store", "x.db"], 2, "--memory and --store"),
        (["--tls-cert", "a.pem"], 2, "--tls-cert and --tls-key"),
    ],
)
def test_a_start_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    ended = command("serve", *_free_ports(), *arguments, folder=tmp_path)
    assert (ended.code, len(ended.error_lines)) == (code, 1), ended
    assert said in ended.err


def _free_ports() -> list[str]:
    return ["--grpc-port", str(free_port()), "--http-port", str(free_port())]


def _refused(options: ServeOptions) -> StartFailed:
    """What an opening is refused with; nothing of it is left."""

    async def opened() -> None:
        server = SchedulerServer(options)
        try:
            await server.open()
        finally:
            await server.stop(0)

    with pytest.raises(StartFailed) as refused:
        asyncio.run(opened())
    assert "\n" not in str(refused.value)
    return refused.value


@pytest.mark.parametrize("option", ["--grpc-port", "--http-port"])
def test_a_port_that_is_taken_is_named(option: str) -> None:
    options = ServeOptions(store_url="memory:", grpc_port=free_port(), http_port=free_port())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        chosen = {"grpc_port": port} if option == "--grpc-port" else {"http_port": port}
        refused = _refused(replace(options, **chosen))
    assert (refused.code, str(refused)) == (
        1, f"Port {port} is in use. Choose another one: {option} {port + 1}"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        ({"store_url": "mysql://x"}, 3, "names no store"),
        ({"tls": TlsFiles(Path("a.pem"), Path("b.pem"))}, 1, "a.pem"),
    ],
)
def test_what_cannot_be_opened_is_named(said: dict[str, Any], code: int, text: str) -> None:
    options = ServeOptions(store_url="memory:", grpc_port=free_port(), http_port=free_port())
    refused = _refused(replace(options, **said))
    assert (refused.code, text in str(refused)) == (code, True), refused


def test_tokens_are_listed_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    place = ("--token-file", str(file))
    shown = command("token", "create", "--role", "worker", "--hub", "Orders", "--label", "ci", *place)
    [token] = shown.out.split()
    assert shown.code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert token not in file.read_text(encoding="utf-8")
    [row] = value_of("token", "list", "--json", *place)
    assert (row["role"], row["hubs"], row["label"], row["expires"]) == ("worker", ["orders"], "ci", None)
    assert token not in json.dumps(row)
    assert command("token", "revoke", row["id"], *place).code == 0
    assert value_of("token", "list", "--json", *place) == []
    assert command("token", "revoke", row["id"], *place).code == 4


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--role", "owner"], 2),
        (["--role", "reader", "--expires", "soon"], 2),
        (["--role", "reader", "--expires", "0d"], 2),
        (["--role", "reader", "--hub", "a/b"], 2),
        ([], 2),
    ],
)
def test_tokens_that_cannot_be_are_refused(tmp_path: Path, arguments: list[str], code: int) -> None:
    place = ["--token-file", str(tmp_path / "tokens")]
    assert command("token", "create", *arguments, *place).code == code
    assert not (tmp_path / "tokens").exists()
