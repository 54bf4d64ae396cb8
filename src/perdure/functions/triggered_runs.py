"""One run of a function whose result nobody reads: of a timer, or by hand."""

import asyncio
from typing import Any

from perdure.execution.time_limits import FunctionTimedOut
from perdure.functions.bindings import ClientTexts, build_arguments, log_outputs
from perdure.functions.descriptions import UserFunction
from perdure.functions.http_triggers import UserCode
from perdure.functions.invocations import Invocation, Retries, log_timeout


class TriggeredRuns:
    """Runs functions in the lanes of the app's code."""

    def __init__(self, user_code: UserCode, clients: ClientTexts) -> None:
        self._user_code = user_code
        self._clients = clients

    async def run(
        self, call: UserFunction, value: Any, *, reason: str, retries: Retries | None = None
    ) -> BaseException | None:
        """Run the function; what went wrong is logged and given back, never raised."""
        try:
            if call.is_async:
                return await self._user_code.run_async(lambda: self._run_async(call, value, reason, retries))
            return await self._user_code.run_sync(lambda: self._run(call, value, reason, retries))
        except FunctionTimedOut as error:
            log_timeout(call.name, error)
            return error

    def _run(self, call: UserFunction, value: Any, reason: str, retries: Retries | None) -> BaseException | None:
        try:
            with Invocation(call.name, reason) as invocation:
                arguments = build_arguments(call, value, self._clients, invocation, retries=retries)
                log_outputs(call, arguments, call.function(**arguments))
        except BaseException as error:
            # User code, SystemExit included; the invocation has logged it.
            return error
        return None

    async def _run_async(
        self, call: UserFunction, value: Any, reason: str, retries: Retries | None
    ) -> BaseException | None:
        try:
            with Invocation(call.name, reason) as invocation:
                arguments = build_arguments(call, value, self._clients, invocation, retries=retries)
                log_outputs(call, arguments, await call.function(**arguments))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return error
        except BaseException as error:
            # As above.
            return error
        return None
