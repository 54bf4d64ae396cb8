"""Official workers that are killed, and a server that is killed while they work: nothing is lost or counts twice.

Rows 1 to 4 and 15 of scheduler.md §9. What a vanished worker had is given to another after a grace of 10 s (turns) or
30 s (activities), in which its own answer would still be taken.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.commands import value_of
from support.host_process import wait_until
from support.official_crew import Crew
from support.official_environments import Interpreter
from support.official_play import Program
from support.official_scenarios import EXPECTED
from support.serve_process import ServeProcess

NewCrew = Callable[..., Crew]
INSTANCES = 12
"""So many run while the server is killed; at least one for each kill."""


@pytest.fixture
def new_crew(official: Interpreter, tmp_path: Path) -> Iterator[NewCrew]:
    with ExitStack() as crews:

        def new(server: ServeProcess, hub: str = "default") -> Crew:
            folder = tmp_path / f"marks-{hub}"
            folder.mkdir()
            return crews.enter_context(Crew(official, server.grpc_port, folder, hub))

        yield new


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServeProcess]:
    """One that may be killed."""
    folder = tmp_path / "server"
    folder.mkdir()
    with ServeProcess(folder) as server:
        yield server


def kill_and_start(server: ServeProcess) -> None:
    server.kill()
    server.start()


@pytest.mark.slow
def test_a_worker_killed_in_an_activity(server: ServeProcess, new_crew: NewCrew) -> None:
    crew = new_crew(server, "killed-in-activity")
    first = crew.worker()
    crew.ask("start", "x", "calls_stuck", "work")
    crew.until_marked("work")
    first.kill()
    crew.worker()
    crew.let_go()
    done_by = crew.ask("output", "x")
    (killed, _), *_, (second, _) = crew.marks()
    assert killed != done_by == second
    assert [text for _, text in crew.marks()] == ["work", "work"]
    assert Counter(crew.ask("kinds", "x"))["TaskCompletedEvent"] == 1


@pytest.mark.slow
def test_a_worker_killed_in_a_turn(server: ServeProcess, new_crew: NewCrew) -> None:
    crew = new_crew(server, "killed-in-turn")
    first = crew.worker()
    crew.ask("start", "x", "stuck_itself", "work")
    crew.until_marked("work turns")
    first.kill()
    crew.let_go()
    crew.worker()
    assert crew.ask("output", "x") == "work"
    ran = Counter(text for _, text in crew.marks())
    assert (ran["work begins"], ran["work"]) == (1, 1)
    assert Counter(crew.ask("kinds", "x"))["TaskCompletedEvent"] == 2


def test_two_workers_of_two_processes_share(server: ServeProcess, new_crew: NewCrew) -> None:
    crew = new_crew(server, "shared-by-two")
    crew.worker()
    crew.worker()
    warmed = 0

    def both_have_run() -> bool:
        # A worker may not be connected yet.
        nonlocal warmed
        warmed += 1
        crew.ask("start", f"warm-{warmed}", "shares", 40)
        crew.ask("output", f"warm-{warmed}")
        return len({pid for pid, _ in crew.marks()}) == 2

    wait_until(both_have_run, "both workers have run something")
    crew.ask("start", "x", "shares", 200)
    assert crew.ask("output", "x") == 200
    ran = crew.marks()[40 * warmed :]
    assert len(ran) == 200
    by_process = Counter(pid for pid, _ in ran)
    assert len(by_process) == 2
    assert min(by_process.values()) > 20


def test_a_hub_made_while_its_worker_already_asks(own_server: ServeProcess, new_crew: NewCrew) -> None:
    crew = new_crew(own_server, "later")
    crew.worker()
    refused = crew.try_to("start", "x", "sequence", 0)
    assert refused["code"] == "NOT_FOUND"
    assert "later" in refused["text"]
    value_of("hub", "create", "later", "--url", own_server.url, "--json")
    crew.ask("start", "x", "sequence", 0)
    assert crew.ask("output", "x") == 3


def test_a_worker_that_is_there_before_its_server(own_server: ServeProcess, new_crew: NewCrew) -> None:
    own_server.stop()
    crew = new_crew(own_server)
    crew.worker()
    own_server.start()
    crew.ask("start", "x", "sequence", 1)
    assert crew.ask("output", "x") == 4


def test_what_waits_outlives_the_server(own_server: ServeProcess, new_crew: NewCrew) -> None:
    """Waiting for events (100), for a timer, for a lock, suspended; state, a delayed signal and a delayed start."""
    crew = new_crew(own_server)
    crew.worker()
    waiting = [f"wait-{n}" for n in range(100)]
    for instance_id in waiting:
        crew.ask("start", instance_id, "waits", instance_id)
    crew.ask("signal", "kept", 5)
    crew.ask("start", "sleeper", "sleeps", 3)
    crew.ask("start later", "delayed", "wakes", 3)
    crew.ask("signal later", "late", 7, 3)
    crew.ask("start", "holder", "holds", "locked")
    crew.until(["RUNNING", "holds"], "status", "holder")
    crew.ask("start", "blocked", "adds", "locked")
    crew.ask("start", "suspended", "waits", "suspended")
    crew.until(["RUNNING", "waits"], "status", "suspended")
    crew.ask("suspend", "suspended")
    crew.until(["SUSPENDED", "waits"], "status", "suspended")
    crew.ask("event", "suspended", "while suspended")
    crew.until(["RUNNING", "waits"], "status", waiting[-1])
    crew.until(5, "entity", "tally", "kept")
    kill_and_start(own_server)
    assert crew.ask("entity", "tally", "kept") == 5
    assert crew.ask("status", "suspended") == ["SUSPENDED", "waits"]
    assert crew.ask("status", "blocked")[0] in ("RUNNING", "PENDING")
    for n, instance_id in enumerate(waiting):
        crew.ask("event", instance_id, n)
    assert [crew.ask("output", instance_id) for instance_id in waiting] == [[name, n] for n, name in enumerate(waiting)]
    crew.ask("event", "holder", "done")
    assert crew.ask("output", "holder") == 1
    assert crew.ask("output", "blocked") == 11
    crew.ask("resume", "suspended")
    assert crew.ask("output", "suspended") == ["suspended", "while suspended"]
    assert crew.ask("output", "sleeper") == "awake"
    assert crew.ask("output", "delayed") == "awake"
    crew.until(7, "entity", "tally", "late")


def run_under_kills(server: ServeProcess, crew: Crew, kills: int) -> None:
    """Kill the server again and again while workers work; every instance ends as it should, each entity call counts
    once, and nothing in a history is there twice."""
    crew.worker()
    crew.worker()
    names: list[str] = []
    for cycle in range(kills):
        fresh = [f"run-{cycle}-{n}" for n in range(max(1, INSTANCES // kills))]
        for name in fresh:
            crew.ask("start", name, "everything", name)
        names += fresh
        # What the store says, and no clock, decides when: somewhere in the middle of the newest.
        crew.until_marked(f"{fresh[-1]} {('first', 'below', '3')[cycle % 3]}", limit=60)
        kill_and_start(server)
    for name in names:
        assert crew.ask("output", name) == [f"{name} first", f"{name} below", 5]
        seen = Counter(crew.ask("kinds", name))
        assert (seen["TaskCompletedEvent"], seen["SubOrchestrationInstanceCompletedEvent"]) == (6, 1)
        assert seen["ExecutionCompletedEvent"] == 1
    crew.until(101 * len(names), "entity", "tally", "all")


def test_a_server_killed_six_times_while_official_workers_work(own_server: ServeProcess, new_crew: NewCrew) -> None:
    run_under_kills(own_server, new_crew(own_server), kills=6)


@pytest.mark.slow
def test_a_server_killed_fifty_times_while_official_workers_work(own_server: ServeProcess, new_crew: NewCrew) -> None:
    run_under_kills(own_server, new_crew(own_server), kills=50)


REPEATABLE = (
    "sequence", "fan_out", "fan_out_children", "timer", "any_of_two", "nested_failures", "custom_status",
    "continue_as_new", "identifiers", "events_between_orchestrations",
)  # fmt: skip
"""Scenarios that may be played again in the same hub, and in which nothing counts that a client asked for twice."""


@pytest.mark.slow
def test_scenarios_whose_server_is_killed_in_the_middle(own_server: ServeProcess, official: Interpreter) -> None:
    """The clients ask again; otherwise neither they nor the workers know anything of it."""
    patient = Interpreter(official.command, [])
    patient.environment = {**official.environment, "PATIENT": "yes"}
    place = (f"localhost:{own_server.grpc_port}", "default")
    kills = 0
    for _ in range(5):
        with Program(patient, "play.py", *place, *REPEATABLE) as program, ThreadPoolExecutor(1) as reader:
            lines = reader.submit(program.rest)
            while not lines.done():
                kill_and_start(own_server)
                kills += 1
                # Some time to work in between; how long does not matter.
                wait([lines], timeout=1)
            for line in lines.result():
                assert line.get("seen") == EXPECTED[line["scenario"]], line
    assert kills > 10


@pytest.mark.slow
def test_workers_killed_twenty_times_while_they_work(server: ServeProcess, new_crew: NewCrew) -> None:
    crew = new_crew(server, "workers-killed")
    steady = crew.worker()
    names = []
    for cycle in range(20):
        names.append(f"run-{cycle}")
        crew.ask("start", names[-1], "everything", names[-1])
        crew.until_marked(f"{names[-1]} {('first', 'below', '3')[cycle % 3]}", limit=60)
        steady.kill()
        steady = crew.worker()
    for name in names:
        assert crew.ask("output", name) == [f"{name} first", f"{name} below", 5]
        assert Counter(crew.ask("kinds", name))["TaskCompletedEvent"] == 6
    crew.until(101 * len(names), "entity", "tally", "all")


@pytest.mark.slow
def test_a_flooded_hub_leaves_the_other_its_latency(server: ServeProcess, new_crew: NewCrew) -> None:
    busy, calm = new_crew(server, "busy"), new_crew(server, "calm")
    busy.worker()
    calm.worker()
    seconds_of(calm, "warm")
    alone = sorted(seconds_of(calm, f"alone-{n}") for n in range(10))[5]
    for n in range(20):
        busy.ask("start", f"flood-{n}", "shares", 500)
    beside = sorted(seconds_of(calm, f"beside-{n}") for n in range(10))[5]
    assert busy.ask("status", "flood-19")[0] in ("RUNNING", "PENDING"), "the flood was over too early"
    for n in range(20):
        busy.ask("terminate", f"flood-{n}")
    # Every process shares two cores with the flood's own worker, so a bound and no equality.
    assert beside < max(1.0, 20 * alone), f"{alone:.3f} s alone, {beside:.3f} s beside the flood"


def seconds_of(crew: Crew, instance_id: str) -> float:
    begin = time.monotonic()
    crew.ask("start", instance_id, "sequence", 0)
    crew.ask("output", instance_id)
    return time.monotonic() - begin
