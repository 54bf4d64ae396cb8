"""Tests of the scheduler's calls run on a real server over both kinds of store."""

from pathlib import Path

import pytest

from support.scheduler_server import store_in


@pytest.fixture(params=["memory", "sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return store_in(tmp_path, request.param)
