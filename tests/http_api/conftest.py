"""The management API, served to each test anew."""

from collections.abc import AsyncIterator

import pytest

from support.management_api import Api, serving


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving() as served:
        yield served
