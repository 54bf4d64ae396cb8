"""Hosts of two versions on one hub: the newer one changes the schema while the older ones work."""

import shutil
import time
from pathlib import Path

import pytest
from benchmarks.postgres_cluster import Cluster

from perdure.storage.postgres.schema import read_steps
from support.host_apps import run_perdure
from support.host_crew import HostCrew
from support.host_process import REPOSITORY
from support.journeys import Journeys

KNOWN = len(read_steps())
ADDED = "alter table hub.instance add column hint text;\n"
REMOVED = f"""
alter table hub.instance drop column hint;
update hub.setting set value = {KNOWN + 2} where name = 'usable_from';
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


def newer_program(folder: Path, *steps: str) -> dict[str, str]:
    """This program with more steps of the schema; what an environment must say to run it."""
    for name in ("src", "sdks"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    migrations = folder / "src" / "perdure" / "storage" / "postgres" / "migrations"
    for number, step in enumerate(steps, KNOWN + 1):
        (migrations / f"{number:04}_newer.sql").write_text(step, encoding="utf-8")
    return {"PYTHONPATH": str(folder / "src")}


def test_a_newer_host_joins_older_ones_and_changes_the_schema(tmp_path: Path, server: Cluster) -> None:
    newer = newer_program(tmp_path / "newer", ADDED)
    newest = newer_program(tmp_path / "newest", ADDED, REMOVED)
    with HostCrew(tmp_path, server.url, count=2) as crew:
        first, _ = crew.hosts
        journeys = Journeys(crew)
        with journeys.under_way():
            # By a command, while the older ones work; each then works with what the other has changed.
            upgrade = ("hub", "upgrade", crew.hub, "--store", server.url)
            ended = run_perdure(*upgrade, environment={**crew.host_environment(), **newer})
            assert (ended.code, version(crew)) == (0, KNOWN + 1), ended
            ended = run_perdure("hub", "status", crew.hub, "--store", server.url)
            assert (ended.code, f"schema version {KNOWN + 1}" in ended.out) == (0, True), ended
            crew.join(newer)
            crew.wait_shared()
            time.sleep(10)  # so long they work together
            # An older one that starts now finds a schema that it does not know, and can use.
            crew.kill(first)
            crew.start(first)
            crew.wait_shared()
        assert not journeys.refused
        figures = journeys.check()

        crew.join(newest)
        crew.wait_shared()
        assert version(crew) == KNOWN + 2
        ended = run_perdure("start", crew.place(9), "--store", server.url, environment=crew.host_environment())
        assert (ended.code, len(ended.error_lines)) == (3, 1), ended
        assert f"schema version {KNOWN + 2}" in ended.err
        assert f"up to {KNOWN}." in ended.err
    print(f"\n{figures}")


def version(crew: HostCrew) -> int:
    [[found]] = crew.ask("select value from hub.setting where name = 'version'")
    return int(found)
