"""What was answered with 202 is in the file at that moment, whatever becomes of the process (D1, D2)."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from support.host_apps import write_app
from support.host_process import HostProcess, wait_until

DURABLE = "/runtime/webhooks/durabletask"
APP = """
@app.orchestration_trigger(context_name="context")
def waits(context):
    while True:
        yield context.wait_for_external_event("go")


@app.entity_trigger(context_name="context")
def counter(context):
    context.set_state((context.get_state() or 0) + 1)
"""


class Copies:
    """The store as a crash would leave it: its files copied at this moment, opened elsewhere."""

    def __init__(self, app: Path, folder: Path) -> None:
        self._store = app / ".perdure" / "hub.db"
        self._folder = folder
        self._count = 0

    def now(self) -> Path:
        self._count += 1
        copy = self._folder / str(self._count)
        copy.mkdir(parents=True)
        for path in (self._store, self._store.with_name("hub.db-wal")):
            if path.exists():
                shutil.copy(path, copy / path.name)
        return copy / "hub.db"

    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.now())) as database:
            assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
            return database.execute(statement, values).fetchall()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


def test_each_accepted_start_is_in_the_file(app: Path, tmp_path: Path):
    copies = Copies(app, tmp_path / "copies")
    with HostProcess(app) as host:
        for number in range(100):
            assert host.http.post(f"{DURABLE}/orchestrators/waits/w{number}").status_code == 202
            assert copies.rows("select id from instance where id = ?", f"w{number}")


def test_each_accepted_message_is_in_the_file(app: Path, tmp_path: Path):
    copies = Copies(app, tmp_path / "copies")
    of_instance = (
        "select events from history join instance i on i.number = instance where id = ?1 "
        "union all select message from inbox where target = ?1"
    )
    with HostProcess(app) as host:
        links = host.start_instance("/api/start/waits/w")
        host.wait_for(links, lambda status: status["runtimeStatus"] == "Running", "it waits")
        for path, token in (
            ("raiseEvent/go?value=1", "EventRaised"),
            ("suspend?reason=tea-break", "tea-break"),
            ("resume?reason=back-again", "back-again"),
            ("terminate?reason=long-enough", "long-enough"),
        ):
            before = str(copies.rows(of_instance, "w")).count(token)
            assert host.http.post(f"{DURABLE}/instances/w/{path}", json={"text": token}).status_code == 202
            assert str(copies.rows(of_instance, "w")).count(token) > before, path
        for number in range(1, 20):
            assert host.http.post(f"{DURABLE}/entities/counter/c?op=add").status_code == 202
            [(count,)] = copies.rows("select count(*) from inbox where target = '@counter@c'")
            states = copies.rows("select state from instance where id = '@counter@c'")
            assert int(count) + int(states[0][0] if states else 0) == number  # type: ignore[call-overload]


@pytest.mark.skipif(shutil.which("strace") is None, reason="the order of system calls is seen by strace only")
def test_each_answer_follows_a_sync_of_what_it_promises(app: Path, tmp_path: Path):
    trace = tmp_path / "trace.txt"
    with HostProcess(app) as host:
        watch = subprocess.Popen(
            ["strace", "-f", "-s", "40", "-e", "trace=fdatasync,fsync,pwrite64,sendto,write,writev", "-o", trace,
             "-p", str(host.pid)], stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_until(
                lambda: bool(host.http.get("/admin/host/ping")) and trace.exists() and trace.stat().st_size > 0,
                "it is traced",
            )
            for number in range(100):
                assert host.http.post(f"{DURABLE}/orchestrators/waits/s{number}").status_code == 202
        finally:
            watch.terminate()
            watch.wait(timeout=10)
    accepted, unsynced, is_synced = 0, 0, False
    for line in trace.read_text().splitlines():
        if "fdatasync(" in line or "fsync(" in line:
            is_synced = True
        elif "HTTP/1.1 202" in line:
            accepted += 1
            unsynced += not is_synced
            is_synced = False
    print(f"{accepted} answers, {unsynced} without a sync before them")
    assert accepted == 100
    assert unsynced == 0
