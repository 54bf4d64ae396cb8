"""Payloads in the blobs of a storage account, here one of this machine."""

import asyncio
import gzip
import subprocess
import sys
from collections.abc import Iterator

import pytest

from durabletask.extensions.azure_blob_payloads import BlobPayloadStore, BlobPayloadStoreOptions
from support.blob_server import Blob, BlobServer

TEXT = ("\u00e4" * 5000).encode()


@pytest.fixture
def account() -> Iterator[BlobServer]:
    with BlobServer() as server:
        yield server


def store_of(account: BlobServer, **options: object) -> BlobPayloadStore:
    return BlobPayloadStore(BlobPayloadStoreOptions(connection_string=account.connection_string, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("compresses", [True, False])
def test_a_payload_is_a_blob_below_its_instance(account: BlobServer, compresses: bool) -> None:
    with store_of(account, enable_compression=compresses) as store:
        token = store.upload(TEXT, instance_id="order:1")
        container, _, name = token.removeprefix("blob:v1:").partition(":")
        assert container == "durabletask-payloads"
        assert name.startswith("order:1/")
        stored = account.containers[container][name].data
        assert (gzip.decompress(stored) if compresses else stored) == TEXT
        assert store.is_known_token(token)
        assert store.download(token) == TEXT
        assert store.upload(TEXT) != token


def test_async_calls_do_the_same(account: BlobServer) -> None:
    async def scenario() -> None:
        async with store_of(account, container_name="mine") as store:
            tokens = await asyncio.gather(*(store.upload_async(f"{n}".encode()) for n in range(5)))
            assert list(account.containers) == ["mine"]
            assert await store.download_async(tokens[3]) == b"3"

    asyncio.run(scenario())


def test_tokens_of_other_sdks_are_read(account: BlobServer) -> None:
    account.containers["theirs"] = {"a b/c": Blob(TEXT, {}), "zipped": Blob(gzip.compress(TEXT), {})}
    with store_of(account) as store:
        assert store.download("blob:v1:theirs:zipped") == TEXT
        assert store.download(f"blob:v2:{account.url}/theirs/a%20b/c") == TEXT
        assert store.download(f"blob:v2:{account.url}/theirs/zipped?version=1") == TEXT


@pytest.mark.parametrize(
    "text", ["", '"text"', "blob:v1:", "blob:v1:container", "blob:v1::name", "blob:v2:https://elsewhere.example/c/n"]
)
def test_other_texts_are_no_tokens(account: BlobServer, text: str) -> None:
    with store_of(account) as store:
        assert not store.is_known_token(text)
        with pytest.raises(LookupError, match="names no blob"):
            store.download(text)


def test_a_blob_that_is_gone_is_told(account: BlobServer) -> None:
    with store_of(account) as store, pytest.raises(LookupError, match="There is no blob 'gone'"):
        store.download("blob:v1:theirs:gone")


def test_options_without_an_account_are_refused() -> None:
    with pytest.raises(ValueError, match="connection_string, or by account_url"):
        BlobPayloadStore(BlobPayloadStoreOptions())


def test_an_account_may_be_named_by_its_address(account: BlobServer) -> None:
    key = {"account_name": "testing", "account_key": "c2VjcmV0"}
    with BlobPayloadStore(BlobPayloadStoreOptions(account_url=account.url, credential=key)) as store:
        assert store.download(store.upload(TEXT)) == TEXT
    assert "c2VjcmV0" not in repr(BlobPayloadStoreOptions(account_url=account.url, credential=key))


@pytest.mark.parametrize("module", ["azure_blob_payloads", "blob_account"])
def test_without_the_package_the_error_names_the_extra(module: str) -> None:
    program = (
        "import sys; sys.modules['azure.storage.blob'] = None\n"
        f"try: import durabletask.extensions.{module}\n"
        "except ImportError as error: print(error)"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout.strip().endswith("pip install 'perdure[azure]'"), done.stderr
