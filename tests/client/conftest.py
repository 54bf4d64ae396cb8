"""A hub that is moved by hand, new for each test."""

from collections.abc import AsyncIterator

import pytest

from perdure.client import ClientOptions
from perdure.storage.memory.storage import MemoryStorage
from support.steered_hub import SteeredHub, SteppedClock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def hub() -> AsyncIterator[SteeredHub]:
    clock = SteppedClock()
    storage = MemoryStorage()
    await storage.open()
    yield SteeredHub.over(storage, clock, ClientOptions(payload_bytes_max=100))
    await storage.close()
