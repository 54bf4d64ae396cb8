"""The official packages, each in an environment of its own, and one server for each file of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.official_environments import Interpreter, official_javascript, official_python, ours
from support.serve_process import ServeProcess


@pytest.fixture(scope="session")
def cache(pytestconfig: pytest.Config) -> Path:
    """Kept between runs; packages are asked for again after a week."""
    assert pytestconfig.cache is not None
    return Path(pytestconfig.cache.mkdir("official"))


@pytest.fixture(scope="session")
def official(cache: Path) -> Interpreter:
    return official_python(cache)


@pytest.fixture(scope="session")
def our_own() -> Interpreter:
    return ours()


@pytest.fixture(scope="session")
def javascript(cache: Path) -> Path:
    return official_javascript(cache)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    with ServeProcess(tmp_path_factory.mktemp("server"), "--auto-create-hubs", "--item-mib-max", "64") as server:
        yield server
