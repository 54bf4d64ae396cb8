"""Every test of this folder runs on every executor; a test is a coroutine that gets a ``stage``."""

import asyncio
import inspect

import pytest

from support.executor_stage import ExecutorStage, known_factories

SECONDS_MAX = 30


@pytest.fixture(params=sorted(known_factories()))
def stage(request: pytest.FixtureRequest) -> ExecutorStage:
    return ExecutorStage(known_factories()[request.param])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on a loop of its own, with its executor started before and stopped after."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def scenario() -> None:
        stage = arguments["stage"]
        await stage.executor.start()
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await pyfuncitem.obj(**arguments)
        finally:
            await stage.executor.stop()
            await stage.executor.stop()

    asyncio.run(scenario())
    return True
