"""Any JSON survives the door and the store exactly, or is refused (reliability.md M7)."""

import asyncio
import json
import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from perdure.client import EntityId
from perdure.core.messages import OperationRequest
from perdure.core.status import RuntimeStatus
from support.management_api import Api, serving

any_text = st.text(st.characters(codec=None, categories=None), max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=10,
)
TOO_LONG = -(10**4300)
numbers = count()
Served = tuple[asyncio.Runner, Api]


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One hub for all examples of a store."""
    folder: Path = tmp_path_factory.mktemp("store")
    url = "memory:" if request.param == "memory" else f"sqlite:{folder / 'hub.db'}"
    with asyncio.Runner() as runner:
        hub = serving(payload_bytes_max=100_000, store_url=url)
        api = runner.run(hub.__aenter__())
        yield runner, api
        runner.run(hub.__aexit__(None, None, None))


EXAMPLES = max(200, settings.default.max_examples if settings.default else 0)
"""M7 wants 5,000: the profile ``thorough`` says so (tests/conftest.py, ``make properties``)."""
many = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(json_values)
@example("\ud800")
@example("\x00")
@example(float("nan"))
@example(10**4299)
@example(TOO_LONG)
def test_what_an_orchestration_is_given_comes_back_the_same(served: Served, value: object):
    runner, api = served
    text = written(value)
    instance_id = f"i{next(numbers)}"

    async def there_and_back() -> None:
        begun = await api.post(f"/orchestrators/ship_order/{instance_id}", content=text)
        assert begun.status_code == (202 if can_be_kept(value) else 400)
        if begun.status_code == 400:
            assert await api.client.get(instance_id) is None
            return
        record = await api.client.get(instance_id)
        assert record is not None
        assert record.origin.input == text
        await api.settle(instance_id, RuntimeStatus.Completed, output=text, custom_status=text)
        body = (await api.get(f"/instances/{instance_id}")).content.decode()
        for key in ("input", "customStatus", "output"):
            assert f'"{key}":{text},' in body

    runner.run(there_and_back())


def written(value: object) -> str:
    """JSON text, also of numbers that Python itself refuses to write."""
    if value == TOO_LONG:
        return "-1" + "0" * 4300
    return json.dumps(value)


def can_be_kept(value: object) -> bool:
    """Whether it holds neither NaN, nor Infinity, nor a number of more than 4,300 digits."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(can_be_kept, value))
    if isinstance(value, dict):
        return all(map(can_be_kept, value.values()))
    return value != TOO_LONG


@many
@given(any_text)
@example("\x00\ud800")
def test_text_for_an_entity_comes_back_the_same_or_is_refused(served: Served, text: str):
    runner, api = served
    key = f"k{next(numbers)}"

    async def there_and_back() -> None:
        try:
            content = text.encode()
        except UnicodeEncodeError:
            content = text.encode("utf-8", "surrogatepass")
            answer = await api.post(f"/entities/counter/{key}", content=content)
            assert answer.status_code == 400
            return
        answer = await api.post(
            f"/entities/counter/{key}?op=set", content=content, headers={"content-type": "text/plain"}
        )
        assert answer.status_code == 202
        [message] = await api.inbox(f"@counter@{key}")
        assert isinstance(message, OperationRequest)
        given_text = message.input
        assert given_text == (json.dumps(text) if text else None)
        await api.put_entity(f"@counter@{key}", given_text)
        assert await api.client.read_entity(EntityId("counter", key)) == given_text

    runner.run(there_and_back())
