"""Every test of this folder runs on every storage; a test is a coroutine that gets a ``stage``."""

import asyncio
import inspect
from pathlib import Path

import pytest

from support.store_factories import known_factories
from support.store_stage import Stage

SECONDS_MAX = 60


@pytest.fixture(params=sorted(known_factories()))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    return Stage(known_factories()[request.param](), tmp_path)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on a loop of its own, with its stage opened before and closed after."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def scenario() -> None:
        stage = arguments["stage"]
        await stage.open()
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await pyfuncitem.obj(**arguments)
        finally:
            await stage.close()

    asyncio.run(scenario())
    return True
