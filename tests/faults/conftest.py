"""What all of them share."""

from collections.abc import Iterator

import pytest
from benchmarks.postgres_cluster import Cluster

from support.postgres_server import own_server


@pytest.fixture
def server() -> Iterator[Cluster]:
    """A server that a test may restart, fill or cut off."""
    with own_server() as cluster:
        yield cluster
