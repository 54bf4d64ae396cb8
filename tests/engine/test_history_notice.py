"""A history that has become long is announced, once."""

from typing import Any

import msgspec

from perdure.contracts.observer import Fact, HistoryGrown
from perdure.testing.in_process_hub import default_options
from support.small_hub import Functions, on_virtual_time, small_hub, text


class Noticed:
    """Keeps what is announced."""

    wants = frozenset({HistoryGrown})

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def announce(self, fact: Fact) -> None:
        self.facts.append(fact)


def test_a_long_history_is_announced_once() -> None:
    functions = Functions()

    @functions.activity
    def echo(value: str | None) -> str | None:
        return value

    @functions.orchestrator
    def sequence(recorder: Any, input: str | None) -> Any:
        for number in range(10):
            yield recorder.call_activity("echo", str(number), text)

    noticed = Noticed()

    async def scenario(clock: Any) -> None:
        options = msgspec.structs.replace(default_options(), history_events_noticed=12)
        hub, _ = small_hub(functions, clock, options=options, observers=[noticed])
        async with hub:
            instance_id = await hub.client.start("sequence")
            await hub.client.wait_for_completion(instance_id, 60)
            assert noticed.facts == [HistoryGrown(instance_id, "sequence", 12)]

    on_virtual_time(scenario)
