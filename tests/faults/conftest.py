"""What all of them share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.postgres_cluster import Cluster

from support.official_environments import Interpreter, official_python, ours
from support.postgres_server import own_server


@pytest.fixture
def server() -> Iterator[Cluster]:
    """A server that a test may restart, fill or cut off."""
    with own_server() as cluster:
        yield cluster


@pytest.fixture(params=["official", "ours"])
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """With the official portable package, and with ours."""
    if request.param == "ours":
        return ours()
    cache = request.config.cache
    assert cache is not None
    return official_python(Path(cache.mkdir("official")))
