"""The scheduler's clients: connection strings, the two forms and styles, who one says one is."""

import ast
import asyncio
import gc
import inspect
import logging
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from durabletask import azuremanaged
from durabletask.azuremanaged import (
    AsyncDurableTaskSchedulerClient,
    ConnectionString,
    DurableTaskSchedulerClient,
    DurableTaskSchedulerWorker,
)
from durabletask.azuremanaged import client as client_module
from durabletask.azuremanaged.credentials import BearerTokens, credential_of, scope_of
from durabletask.azuremanaged.scheduler_target import USER_AGENT
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationStatus, TaskHubGrpcClient
from durabletask.grpc_options import GrpcChannelOptions, GrpcClientResiliencyOptions, GrpcRetryPolicyOptions
from durabletask.payload import FilePayloadStore, LargePayloadStorageOptions
from perdure.host.certificates import OWN_FILE, tls_context
from perdure.host.options import HttpsOptions
from support.portable_hubs import HUB, echo, grpc_door, served
from support.portable_hubs import Place as PortablePlace

parse = ConnectionString.parse


class TestConnectionStrings:
    def test_reads_all_keys_whatever_their_case_and_order(self) -> None:
        text = (
            " taskhub = orders ;ENDPOINT=https://x.region.durabletask.io; Authentication=workloadidentity;"
            "ClientId=c;TENANTID=t;TokenFilePath=/f=1;AdditionallyAllowedTenants= a , b ,;;"
        )
        expected = ConnectionString(
            "https://x.region.durabletask.io", "orders", "WorkloadIdentity", "c", "t", "/f=1", ("a", "b")
        )
        assert parse(text) == expected
        assert str(expected) == (
            "Endpoint=https://x.region.durabletask.io;TaskHub=orders;Authentication=WorkloadIdentity;ClientID=c;"
            "TenantId=t;TokenFilePath=/f=1;AdditionallyAllowedTenants=a,b"
        )
        assert parse(str(expected)) == expected

    @pytest.mark.parametrize("endpoint", ["http://localhost:8080", "grpc://h:1", "embedded://", "embedded:///a/b"])
    def test_hub_and_authentication_may_be_missing_without_tls(self, endpoint: str) -> None:
        assert parse(f"Endpoint={endpoint}") == ConnectionString(endpoint, "default", "None")

    def test_without_a_scheme_it_is_https(self) -> None:
        assert parse("Endpoint=host;Authentication=none").endpoint == "https://host"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("embedded://", ConnectionString("embedded://")),
            (" http://localhost:8080 ", ConnectionString("http://localhost:8080")),
            ("embedded:///a/b;TaskHub=orders", ConnectionString("embedded:///a/b", "orders")),
            ("embedded+postgresql://a@b/c?d=e", ConnectionString("embedded+postgresql://a@b/c?d=e")),
            (
                "https://h:1;Authentication=Token;Token=t",
                ConnectionString("https://h:1", "default", "Token", token="t"),
            ),
        ],
    )
    def test_an_address_is_enough(self, text: str, expected: ConnectionString) -> None:
        assert parse(text) == expected
        assert parse(str(expected)) == expected

    def test_the_last_of_a_key_counts_and_empty_values_do_not(self) -> None:
        assert parse("Endpoint=http://a;TaskHub=x;taskhub=y;ClientID=") == ConnectionString("http://a", "y")

    @pytest.mark.parametrize("quoted", ['"a;b=""c"""', "'a;b=\"c\"'"])
    def test_values_may_be_quoted(self, quoted: str) -> None:
        read = parse(f"Endpoint=http://a; Authentication=Token; Token= {quoted} ;TaskHub=h")
        assert (read.token, read.task_hub) == ('a;b="c"', "h")
        assert parse(str(read)) == read

    def test_unknown_keys_are_passed_over_with_one_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING, "durabletask"):
            assert parse("Endpoint=http://a;AccessKey=secret;Namespace=n") == ConnectionString("http://a")
        assert [record.getMessage().count("AccessKey, Namespace") for record in caplog.records] == [1]
        assert "secret" not in caplog.text

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "no Endpoint"),
            ("TaskHub=x", "no Endpoint"),
            ("Endpoint=", "no Endpoint"),
            ("Endpoint=http://a;oops", "Part 2"),
            ("http://a;oops", "Part 2"),
            ("your-connection-string", "such as embedded:// for a hub in this program or http://localhost:8080"),
            ("hush", "Part 1"),
            ("https://a", "needs Authentication"),
            ("Endpoint=https://a", "needs Authentication"),
            ("Endpoint=https://a;Authentication=Magic", "Magic is not known; use one of None, DefaultAzure"),
            ("Endpoint=https://a;Authentication=VisualStudio", "not available in Python"),
            ("Endpoint=https://a;Authentication=intellij", "not available in Python"),
            ("Endpoint=https://a;Authentication=Token", "one of Token="),
            ("Endpoint=https://a;Authentication=Token;Token=a;TokenFile=b", "one of Token="),
            ("Endpoint=http://a;Token=hush", "Authentication=Token, not None"),
            ("Endpoint='http://a", "closing quote"),
            ("Endpoint='http://a'x", "after its closing quote"),
        ],
    )
    def test_says_what_is_wrong_and_never_a_secret(self, text: str, why: str) -> None:
        with pytest.raises(ValueError, match=why) as refused:
            parse(text)
        assert "hush" not in str(refused.value)

    def test_a_token_is_not_shown(self) -> None:
        assert "hush" not in repr(parse("Endpoint=http://a;Authentication=Token;Token=hush"))

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ({"DTS_CONNECTION_STRING": "Endpoint=http://a;TaskHub=x"}, ConnectionString("http://a", "x")),
            (
                {
                    "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": "Endpoint=http://b",
                    "DTS_CONNECTION_STRING": "Endpoint=http://a",
                    "TASKHUB_NAME": "mine",
                },
                ConnectionString("http://b", "mine"),
            ),
            ({"ENDPOINT": "http://c", "TASKHUB": "y"}, ConnectionString("http://c", "y")),
            ({"ENDPOINT": "https://c"}, ConnectionString("https://c", "default", "DefaultAzure")),
        ],
    )
    def test_is_found_in_the_environment(self, said: dict[str, str], expected: ConnectionString) -> None:
        assert ConnectionString.from_environment(said) == expected

    def test_an_environment_that_says_nothing_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ValueError, match="DTS_CONNECTION_STRING"):
            ConnectionString.from_environment({})
        monkeypatch.setenv("DTS_CONNECTION_STRING", "Endpoint=http://env")
        assert ConnectionString.from_environment().endpoint == "http://env"


@dataclass
class Token:
    token: str
    expires_on: int


class Credential:
    """Counts how often it is asked; gives tokens that last so long."""

    def __init__(self, seconds: float = 3600) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.seconds = seconds

    def get_token(self, *scopes: str, **options: Any) -> Token:
        time.sleep(0.02)
        self.asked.append(scopes)
        return Token(f"t{len(self.asked)}", int(time.time() + self.seconds))


class AsyncCredential(Credential):
    async def get_token(self, *scopes: str, **options: Any) -> Token:  # pyright: ignore[reportIncompatibleMethodOverride]
        await asyncio.sleep(0.02)
        self.asked.append(scopes)
        return Token(f"t{len(self.asked)}", int(time.time() + self.seconds))


class TestTokens:
    def test_one_request_serves_all_who_wait(self) -> None:
        credential = Credential()
        tokens = BearerTokens(credential, "s/.default")
        threads = [threading.Thread(target=tokens.blocking) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert credential.asked == [("s/.default",)]
        assert tokens.blocking() == "t1"

    @pytest.mark.parametrize("kind", [Credential, AsyncCredential])
    def test_one_request_serves_all_who_wait_on_a_loop(self, kind: type[Credential]) -> None:
        credential = kind()
        tokens = BearerTokens(credential, "s")

        async def ask() -> list[Any]:
            return await asyncio.gather(*(tokens.awaited() for _ in range(8)))

        assert asyncio.run(ask()) == ["t1"] * 8
        assert asyncio.run(ask()) == ["t1"] * 8
        assert len(credential.asked) == 1

    def test_a_token_is_renewed_ten_minutes_before_its_end(self) -> None:
        tokens = BearerTokens(Credential(seconds=590), "s")
        assert [tokens.blocking(), tokens.blocking()] == ["t1", "t2"]
        tokens = BearerTokens(Credential(seconds=660), "s")
        assert [tokens.blocking(), tokens.blocking()] == ["t1", "t1"]

    def test_a_credential_for_loops_is_refused_by_blocking_clients(self) -> None:
        with pytest.raises(TypeError, match=r"azure\.identity\.aio"):
            BearerTokens(AsyncCredential(), "s").blocking()

    @pytest.mark.parametrize(
        ("resource_id", "scope"),
        [
            (None, "https://durabletask.io/.default"),
            (" https://x/ ", "https://x/.default"),
            ("https://x/.default", "https://x/.default"),
            ("https://x//.default", "https://x/.default"),
        ],
    )
    def test_scopes(self, resource_id: str | None, scope: str) -> None:
        assert scope_of(resource_id) == scope

    def test_scopes_of_government_clouds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REGION_NAME", "USGov Virginia")
        assert scope_of(None) == "https://durabletask.azure.us/.default"

    @pytest.mark.parametrize("resource_id", ["", " ", "/.default", "/"])
    def test_an_empty_resource_is_refused(self, resource_id: str) -> None:
        with pytest.raises(ValueError, match="resource_id"):
            scope_of(resource_id)

    def test_own_tokens_come_from_the_string_or_a_file_that_may_change(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text(" first\n")
        for text, expected in ((f"TokenFile={file}", "first"), ("Token=abc", "abc")):
            credential = credential_of(parse(f"Endpoint=http://a;Authentication=Token;{text}"))
            assert credential is not None
            assert credential.get_token("s").token == expected
        file.unlink()
        credential = credential_of(parse(f"Endpoint=http://a;Authentication=Token;TokenFile={file}"))
        assert credential is not None
        with pytest.raises(ValueError, match="cannot be read"):
            credential.get_token("s")

    def test_azure_identity_is_asked_for_by_name(self) -> None:
        with pytest.raises(ImportError, match=r"perdure\[azure\]"):
            credential_of(parse("Endpoint=https://a;Authentication=ManagedIdentity"))


class TestForms:
    @pytest.mark.parametrize("make", [DurableTaskSchedulerClient, AsyncDurableTaskSchedulerClient])
    def test_forms_are_not_mixed_nor_halved(self, make: Any) -> None:
        for named in ({"host_address": "a"}, {"taskhub": "h"}, {"token_credential": None}, {"secure_channel": False}):
            with pytest.raises(TypeError, match=next(iter(named))):
                make("Endpoint=http://a", **named)
        with pytest.raises(TypeError, match="taskhub, token_credential are missing"):
            make(host_address="a")
        with pytest.raises(ValueError, match="taskhub"):
            make(host_address="a", taskhub="", token_credential=None)
        with pytest.raises(TypeError, match="str or a ConnectionString"):
            make(b"Endpoint=http://a")

    def test_mode_goes_with_a_connection_string(self) -> None:
        with pytest.raises(TypeError, match="mode"):
            DurableTaskSchedulerClient(mode="sync", host_address="a", taskhub="h", token_credential=None)  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="mode"):
            DurableTaskSchedulerClient("Endpoint=http://a", mode="both")  # type: ignore[call-overload]

    def test_names_are_the_same_objects_by_each_path(self) -> None:
        assert azuremanaged.DurableTaskSchedulerClient is client_module.DurableTaskSchedulerClient
        assert azuremanaged.worker.DurableTaskSchedulerWorker is DurableTaskSchedulerWorker
        assert issubclass(DurableTaskSchedulerClient, TaskHubGrpcClient)
        assert issubclass(AsyncDurableTaskSchedulerClient, AsyncTaskHubGrpcClient)

    def test_sandboxes_are_refused_with_a_reason(self) -> None:
        with pytest.raises(ImportError, match="not provided"):
            import durabletask.azuremanaged.preview.sandboxes  # noqa: F401

    @pytest.mark.parametrize(
        "endpoint", ["embedded:///", "embedded://a/b", "embedded+postgresql://", "embedded+mysql://h"]
    )
    def test_an_embedded_endpoint_that_names_nothing_is_refused(self, endpoint: str) -> None:
        with pytest.raises(ValueError, match="embedded"):
            DurableTaskSchedulerClient(f"Endpoint={endpoint}")

    def test_an_embedded_hub_takes_no_channel(self) -> None:
        with pytest.raises(ValueError, match="without gRPC"):
            DurableTaskSchedulerClient("Endpoint=embedded://", channel=grpc.insecure_channel("x"))

    def test_stub_and_class_have_the_same_methods(self) -> None:
        stub = ast.parse(Path(client_module.__file__).with_suffix(".pyi").read_text())
        cls = next(n for n in stub.body if isinstance(n, ast.ClassDef) and n.name == "DurableTaskSchedulerClient")
        found: dict[str, list[list[str]]] = {}
        for node in cls.body:
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                names = [arg.arg for arg in [*node.args.args, *node.args.kwonlyargs]]
                found.setdefault(node.name, []).append(names)
        for name, method in inspect.getmembers(TaskHubGrpcClient, inspect.isfunction):
            if not name.startswith("_"):
                assert found[name] == [list(inspect.signature(method).parameters)] * 2, name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortablePlace]:
    """A hub behind a gRPC server."""
    with served("grpc", tmp_path_factory.mktemp("hub")) as place:
        yield place


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortablePlace]:
    """A hub in memory."""
    with served("memory", tmp_path_factory.mktemp("memory")) as place:
        yield place


class TestStyles:
    @pytest.mark.parametrize("kind", ["place", "embedded"])
    def test_a_connection_string_makes_calls_that_are_awaited_on_any_loop(
        self, kind: str, request: pytest.FixtureRequest
    ) -> None:
        client = DurableTaskSchedulerClient(request.getfixturevalue(kind).text)

        async def run() -> Any:
            instance_id = await client.schedule_new_orchestration(echo, input="x")
            return await client.wait_for_orchestration_completion(instance_id)

        for _ in range(2):
            assert asyncio.run(run()).result == "x"
        instance_id = client.sync.schedule_new_orchestration(echo, input="y")
        state = client.sync.wait_for_orchestration_completion(instance_id)
        assert state is not None
        assert state.result == "y"
        asyncio.run(client.close())  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", ["place", "embedded"])
    def test_an_address_makes_calls_that_block_also_inside_of_a_loop(
        self, kind: str, request: pytest.FixtureRequest
    ) -> None:
        target = request.getfixturevalue(kind)
        with DurableTaskSchedulerClient(host_address=target.endpoint, taskhub=HUB, token_credential=None) as client:

            async def run() -> list[Any]:
                instance_id = client.schedule_new_orchestration(echo, input="x")
                other = await client.aio.schedule_new_orchestration(echo, input="y")
                return [
                    client.wait_for_orchestration_completion(instance_id),
                    await client.aio.wait_for_orchestration_completion(other),
                ]

            assert [state.result for state in asyncio.run(run())] == ["x", "y"]

    def test_both_kinds_of_with_work_for_both_styles(self, place: PortablePlace, embedded: PortablePlace) -> None:
        async def enter(client: Any) -> None:
            async with client:
                pass

        def clients(target: PortablePlace) -> list[Any]:
            return [
                DurableTaskSchedulerClient(target.text),
                DurableTaskSchedulerClient(target.text, mode="sync"),
                AsyncDurableTaskSchedulerClient(target.text),
            ]

        for target in (place, embedded):
            for client in clients(target):
                asyncio.run(enter(client))
            for client in clients(target):
                with client:
                    pass

    def test_a_call_that_nobody_awaits_is_told_as_any_other(self, embedded: PortablePlace) -> None:
        client = DurableTaskSchedulerClient(embedded.text)
        with pytest.warns(RuntimeWarning, match="schedule_new_orchestration' was never awaited"):
            client.schedule_new_orchestration(echo)  # pyright: ignore[reportUnusedCoroutine]

    def test_clients_that_nobody_closes_end_without_a_word(
        self, place: PortablePlace, embedded: PortablePlace, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def use(client: Any) -> None:
            await client.get_orchestration_state("x")

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for target in (place, embedded):
                asyncio.run(use(DurableTaskSchedulerClient(target.text)))
                asyncio.run(use(AsyncDurableTaskSchedulerClient(target.text)))
                DurableTaskSchedulerClient(target.text, mode="sync").get_orchestration_state("x")
            gc.collect()
        assert (told, capsys.readouterr().err) == ([], "")

    @pytest.mark.parametrize("kind", ["place", "embedded"])
    def test_no_call_blocks_the_loop(self, kind: str, request: pytest.FixtureRequest) -> None:
        target = request.getfixturevalue(kind)

        async def own_loop() -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

        engine = target.hub.client.blocking(own_loop)

        async def with_a_held_engine(call: Callable[[], Awaitable[Any]]) -> Any:
            """The engine answers nothing until this loop, which must be free for it, says so."""
            held, go_on, waited = threading.Event(), threading.Event(), list[bool]()

            def hold() -> None:
                held.set()
                waited.append(go_on.wait(20))

            engine.call_soon_threadsafe(hold)
            assert held.wait(20)
            asking = asyncio.ensure_future(call())
            await asyncio.wait([asking], timeout=0.05)
            assert not asking.done()
            go_on.set()
            answer = await asking
            assert waited == [True], "the call held the loop"
            return answer

        async def calls() -> None:
            client = DurableTaskSchedulerClient(target.text)
            await client.get_orchestration_state("warm")
            start = partial(client.schedule_new_orchestration, echo, input=1)
            instance_id = await with_a_held_engine(start)
            await with_a_held_engine(partial(client.get_orchestration_state, instance_id))
            state = await with_a_held_engine(partial(client.wait_for_orchestration_completion, instance_id))
            assert state.get_output() == 1
            await client.close()

        asyncio.run(calls())


class TestOverGrpc:
    def test_each_call_says_hub_agent_and_token(self, place: PortablePlace) -> None:
        seen: list[tuple[str, dict[str, str]]] = []
        with grpc_door(place.hub, lambda name, headers: seen.append((name, headers))) as port:
            address = f"http://127.0.0.1:{port}"
            credential, other = Credential(), AsyncCredential()
            with DurableTaskSchedulerClient(
                host_address=address, taskhub=HUB, token_credential=credential, resource_id="https://r/"
            ) as client:
                client.get_orchestration_state("x")
                client.get_orchestration_state("x")

            async def ask() -> None:
                async with AsyncDurableTaskSchedulerClient(
                    host_address=address, taskhub=HUB, token_credential=other
                ) as client:
                    await client.get_orchestration_state("x")
                text = f"Endpoint={address};TaskHub={HUB};Authentication=Token;Token=own"
                async with DurableTaskSchedulerClient(text) as client:
                    await client.get_orchestration_state("x")

            asyncio.run(ask())
        assert credential.asked == [("https://r/.default",)]
        assert [headers.get("authorization") for _, headers in seen] == [
            "Bearer t1", "Bearer t1", "Bearer t1", "Bearer own",
        ]  # fmt: skip
        assert {(headers["taskhub"], headers["x-user-agent"]) for _, headers in seen} == {(HUB, USER_AGENT)}

    def test_metadata_and_interceptors_go_with_every_call(self, place: PortablePlace) -> None:
        methods: list[str] = []

        class Watching(grpc.UnaryUnaryClientInterceptor):
            def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
                methods.append(client_call_details.method)
                return continuation(client_call_details, request)

        class AsyncWatching(grpc.aio.UnaryUnaryClientInterceptor):
            async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
                methods.append(client_call_details.method.decode())
                return await continuation(client_call_details, request)

        with TaskHubGrpcClient(
            host_address=place.endpoint, metadata=[("taskhub", HUB)], interceptors=[Watching()]
        ) as client:
            client.get_orchestration_state("x")

        async def ask() -> None:
            async with AsyncTaskHubGrpcClient(
                host_address=place.endpoint, metadata=[("taskhub", HUB)], interceptors=[AsyncWatching()]
            ) as client:
                await client.get_orchestration_state("x")
            for watching in (Watching(), AsyncWatching()):
                async with DurableTaskSchedulerClient(place.text, interceptors=[watching]) as client:
                    await client.get_orchestration_state("x")

        asyncio.run(ask())
        assert methods == ["/TaskHubSidecarService/GetInstance"] * 4

    def test_a_channel_that_is_given_is_used_and_never_closed(self, place: PortablePlace) -> None:
        target = place.endpoint.removeprefix("http://")
        with grpc.insecure_channel(target) as channel:
            with TaskHubGrpcClient(channel=channel, metadata=[("taskhub", HUB)]) as client:
                client.get_orchestration_state("x")
            with DurableTaskSchedulerClient(place.text, mode="sync", channel=channel) as client:
                client.get_orchestration_state("x")

        async def ask() -> None:
            async with grpc.aio.insecure_channel(target) as channel:
                for _ in range(2):
                    async with AsyncTaskHubGrpcClient(channel=channel, metadata=[("taskhub", HUB)]) as client:
                        await client.get_orchestration_state("x")
                with pytest.raises(TypeError, match="AsyncDurableTaskSchedulerClient"):
                    DurableTaskSchedulerClient(place.text, channel=channel)  # type: ignore[call-overload]

        asyncio.run(ask())

    def test_another_hub_is_refused_by_name(self, place: PortablePlace) -> None:
        with (
            DurableTaskSchedulerClient(host_address=place.endpoint, taskhub="nope", token_credential=None) as client,
            pytest.raises(grpc.RpcError) as refused,
        ):
            client.get_orchestration_state("x")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND  # pyright: ignore[reportAttributeAccessIssue]

    def test_a_server_of_ones_own_is_trusted_by_a_file(self, place: PortablePlace, tmp_path: Path) -> None:
        tls = tls_context(HttpsOptions(), folder=tmp_path, names=["localhost", "127.0.0.1"])
        with grpc_door(place.hub, tls=tls) as port:
            text = f"Endpoint=https://127.0.0.1:{port};TaskHub={HUB};Authentication=None"
            with DurableTaskSchedulerClient(f"{text};CaFile={tmp_path / OWN_FILE}", mode="sync") as client:
                assert client.get_orchestration_state("x") is None
            with DurableTaskSchedulerClient(text, mode="sync") as client, pytest.raises(grpc.RpcError) as refused:
                client.get_orchestration_state("x")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(ValueError, match="CaFile"):
            DurableTaskSchedulerClient(f"{text};CaFile={tmp_path / 'none'}")

    @pytest.mark.parametrize("style", ["blocking", "awaited"])
    def test_payloads_beyond_grpcs_own_limit_come_back(self, place: PortablePlace, style: str) -> None:
        large = "x" * (5 * 1024 * 1024)

        async def echoed() -> Any:
            async with AsyncDurableTaskSchedulerClient(place.text) as client:
                instance_id = await client.schedule_new_orchestration(echo, input=large)
                return await client.wait_for_orchestration_completion(instance_id)

        if style == "awaited":
            state = asyncio.run(echoed())
        else:
            with DurableTaskSchedulerClient(place.text, mode="sync") as client:
                state = client.wait_for_orchestration_completion(client.schedule_new_orchestration(echo, input=large))
        assert state is not None
        assert state.result == large

    @pytest.mark.parametrize("style", ["blocking", "awaited"])
    def test_large_payloads_leave_for_a_store_and_come_back(
        self, place: PortablePlace, style: str, tmp_path: Path
    ) -> None:
        store = FilePayloadStore(tmp_path, LargePayloadStorageOptions(threshold_bytes=1000))
        large = "x" * 2000

        async def echoed() -> Any:
            async with AsyncDurableTaskSchedulerClient(place.text, payload_store=store) as client:
                instance_id = await client.schedule_new_orchestration(echo, input=large)
                return await client.wait_for_orchestration_completion(instance_id)

        if style == "awaited":
            state = asyncio.run(echoed())
        else:
            with DurableTaskSchedulerClient(place.text, mode="sync", payload_store=store) as client:
                state = client.wait_for_orchestration_completion(client.schedule_new_orchestration(echo, input=large))
        assert state is not None
        assert state.input == large
        with DurableTaskSchedulerClient(place.text, mode="sync") as client:
            kept = client.get_orchestration_state(state.instance_id)
        assert kept is not None
        assert kept.serialized_input is not None
        assert store.is_known_token(kept.serialized_input)

    @pytest.mark.parametrize("style", ["blocking", "awaited"])
    def test_a_channel_that_does_not_recover_is_replaced(self, style: str) -> None:
        told: list[str] = []

        class Telling(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                told.append(record.getMessage())

        logger = logging.Logger("test", logging.WARNING)
        logger.addHandler(Telling())
        said: dict[str, Any] = {
            "host_address": "127.0.0.1:1",
            "logger": logger,
            "resiliency_options": GrpcClientResiliencyOptions(channel_recreate_failure_threshold=2),
        }

        async def ask() -> None:
            async with AsyncTaskHubGrpcClient(**said) as client:
                for _ in range(4):
                    with pytest.raises(grpc.RpcError):
                        await client.get_orchestration_state("x")

        if style == "awaited":
            asyncio.run(ask())
        else:
            with TaskHubGrpcClient(**said) as client:
                for _ in range(4):
                    with pytest.raises(grpc.RpcError):
                        client.get_orchestration_state("x")
        # The second time comes too soon after the first.
        assert told == ["127.0.0.1:1 was not reached several times in a row; a new channel is opened."]

    def test_answers_of_servers_are_shown_by_the_module_functions(self, place: PortablePlace) -> None:
        from durabletask.client import (
            new_orchestration_state,
            new_purge_instances_result,
            parse_orchestration_state,
        )
        from durabletask.entities import EntityMetadata
        from durabletask.internal import orchestrator_service_pb2 as pb

        state = pb.OrchestrationState(instanceId="i", name="n", orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED)
        state.output.value = "[1]"
        assert new_orchestration_state("i", pb.GetInstanceResponse(exists=False)) is None
        purged = new_purge_instances_result(pb.PurgeInstancesResponse(deletedInstanceCount=2))
        assert (purged.deleted_instance_count, purged.is_complete) == (2, None)
        shown = new_orchestration_state("i", pb.GetInstanceResponse(exists=True, orchestrationState=state))
        assert shown == parse_orchestration_state(state)
        assert shown is not None
        assert (shown.result, shown.runtime_status, shown.failure_details) == ([1], OrchestrationStatus.FAILED, None)
        entity = pb.EntityMetadata(instanceId="@a@b", backlogQueueSize=2)
        entity.serializedState.value = "7"
        entity.lockedBy.value = "order-1"
        for metadata in (
            EntityMetadata.from_entity_metadata(entity, True),
            EntityMetadata.from_entity_response(pb.GetEntityResponse(exists=True, entity=entity), True),
        ):
            assert (metadata.get_typed_state(), metadata.backlog_queue_size) == (7, 2)
            assert metadata.get_locked_by() == "order-1"


class TestOptions:
    def test_channel_options_become_grpcs(self) -> None:
        options = GrpcChannelOptions(
            max_receive_message_length=1,
            keepalive_permit_without_calls=False,
            retry_policy=GrpcRetryPolicyOptions(max_attempts=5, initial_backoff_seconds=0.1),
            raw_options=[("grpc.x", "y")],
        )
        assert options.to_grpc_options() == [
            ("grpc.x", "y"),
            ("grpc.max_receive_message_length", 1),
            ("grpc.keepalive_permit_without_calls", 0),
            ("grpc.enable_retries", 1),
            (
                "grpc.service_config",
                '{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s", '
                '"maxBackoff": "0.25s", "backoffMultiplier": 2.0, "retryableStatusCodes": ["UNAVAILABLE"]}}]}',
            ),
        ]
        assert GrpcChannelOptions().to_grpc_options() == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"max_attempts": 1},
            {"initial_backoff_seconds": 0},
            {"initial_backoff_seconds": 1e-10},
            {"max_backoff_seconds": -1},
            {"backoff_multiplier": 0},
            {"max_backoff_seconds": 0.01},
            {"retryable_status_codes": []},
        ],
    )
    def test_retry_policies_that_make_no_sense_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r".+"):
            GrpcRetryPolicyOptions(**wrong)
