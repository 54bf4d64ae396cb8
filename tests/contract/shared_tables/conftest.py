"""Every test of this folder runs on every kind of shared tables; a test is a coroutine that gets ``parties``."""

import asyncio
import inspect
from typing import Any

import pytest

from support.shared_tables_stage import HUBS, SECONDS_MAX, Parties


@pytest.fixture(params=sorted(HUBS))
def parties(request: pytest.FixtureRequest) -> Parties:
    return Parties(HUBS[request.param]())


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on a loop of its own; what joined the hub is closed after."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def scenario() -> None:
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await pyfuncitem.obj(**arguments)
        finally:
            await arguments["parties"].close()

    asyncio.run(scenario())
    return True
