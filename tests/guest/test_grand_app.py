"""Each feature of the 1.x generation, on our SDK and on the official one: the same answers, statuses and histories."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.both_sdks import BothSdks, Links, masked, run, shown
from support.host_process import HostProcess
from support.web_server import Reply, WebServer

pytestmark = pytest.mark.slow
PARALLEL = {"Groups", "RetriesBeside", "Values", "Entities"}
VALUES = [None, True, 1, -2.5, 2**60, "text", "", "ä€\u2028", '"quoted"', [1, [2]], {"a": {"b": None}}, {}]


@pytest.fixture(scope="module")
def both(start_both) -> BothSdks:
    return start_both(Path(__file__).parent / "grand_app")


def start(host: HostProcess, name: str, id: str, input: Any = None) -> Links:
    return host.start_instance(f"/api/start/{name}/{id}", input)


def running(host: HostProcess, links: Links) -> None:
    host.wait_for(links, lambda status: status["runtimeStatus"] == "Running", "it runs")


def raise_event(host: HostProcess, links: Links, name: str, data: Any) -> int:
    return host.http.post(links["sendEventPostUri"].replace("{eventName}", name), json=data).status_code


def ask(host: HostProcess, what: str, id: str, body: Any = None) -> Any:
    answer = host.http.post(f"/api/client/{what}/{id}", **({} if body is None else {"json": body}))
    assert answer.status_code == 200, f"{answer.text}\n{host.log()}"
    return answer.json()


@pytest.mark.parametrize(
    ("name", "input", "status"),
    [
        ("Chain", "x", "Completed"),
        ("Chain", None, "Completed"),
        ("Groups", None, "Completed"),
        ("RetriesBeside", None, "Completed"),
        ("Children", None, "Completed"),
        ("Broken", {"deep": [1]}, "Failed"),
        ("FailsUncaught", None, "Failed"),
        ("Values", VALUES, "Completed"),
        ("Nothing", None, "Completed"),
        ("NoSteps", None, "Completed"),
        ("CountsDown", 3, "Completed"),
        ("Entities", None, "Completed"),
    ],
)
def test_an_orchestration(both, name, input, status):
    def play(host: HostProcess) -> Any:
        seen = run(host, name, f"{name}-{input is None}", input)
        if name in PARALLEL:
            seen["historyEvents"].sort(key=lambda event: json.dumps(masked(event), sort_keys=True))
        return seen

    assert both.compare(play)["runtimeStatus"] == status


def test_retries_of_the_official_package_end_with_one_more_timer(both):
    timers: list[int] = []

    def play(host: HostProcess) -> Any:
        seen = run(host, "Retries", "retries")
        kinds = [event["EventType"] for event in seen["historyEvents"]]
        timers.append(kinds.count("TimerFired"))
        seen["historyEvents"] = [event for event in seen["historyEvents"] if "Timer" not in event["EventType"]]
        return seen

    assert both.compare(play)["output"][:2] == ["attempt 3", 'said "between"']
    assert sorted(timers) == [6, 8]


def test_an_output_that_has_no_json_form_fails(both):
    def play(host: HostProcess) -> Any:
        seen = run(host, "Unwritable", "unwritable")
        return [seen["runtimeStatus"], seen["output"].split(": give class")[0]]

    text = "Orchestrator function 'Unwritable' failed: Object of type object is not JSON serializable"
    assert both.compare(play) == ["Failed", text]


def test_events_before_their_waits(both):
    def play(host: HostProcess) -> Any:
        links = start(host, "Events", "events")
        running(host, links)
        answers = [raise_event(host, links, name, [name, n]) for n, name in enumerate(["B", "Data", "A"])]
        raise_event(host, links, "Begin", True)
        host.wait_for(links, lambda status: status["customStatus"] == "one", "one is taken")
        answers.append(raise_event(host, links, "More", "more"))
        host.finished(links)
        return answers, shown(host, links)

    assert both.compare(play)[1]["runtimeStatus"] == "Completed"


def test_an_event_wins_over_a_timer_and_the_other_way_round(both):
    def play(host: HostProcess) -> Any:
        links = start(host, "EventOrTimer", "event-or-timer")
        running(host, links)
        raise_event(host, links, "Go", {"a": 1})
        host.finished(links)
        return shown(host, links)

    assert both.compare(play)["output"][:2] == [{"a": 1}, True]


def test_events_that_nobody_took_go_on_to_the_next_execution(both):
    def play(host: HostProcess) -> Any:
        links = start(host, "Loop", "loop")
        running(host, links)
        raise_event(host, links, "Item", 1)
        raise_event(host, links, "Begin", True)
        for item in (2, 3):
            host.wait_for(links, lambda status, n=item: status["customStatus"] == n - 1, "one more is taken")
            raise_event(host, links, "Item", item)
        host.finished(links)
        return shown(host, links)

    assert both.compare(play)["output"] == [1, 2, 3]


def test_http_from_an_orchestration(both):
    with WebServer(lambda asked: Reply(200, b'{"path": "' + asked.path.encode() + b'"}')) as server:
        seen = both.compare(lambda host: run(host, "Http", "http", server.url + "/x"))
    assert seen["output"] == [200, '{"path": "/x"}']


def test_a_request_waits_for_the_answer(both):
    def play(host: HostProcess) -> Any:
        answer = host.http.post("/api/wait/Double2", json=5)
        return [answer.status_code, answer.json()]

    assert both.compare(play) == [200, 20]


@pytest.mark.parametrize("by", ["http", "client"])
def test_suspend_resume_and_terminate(both, by):
    def told(host: HostProcess, links: Links, what: str, reason: str) -> Any:
        if by == "client":
            return ask(host, what, links["id"], reason)
        return host.http.post(links[f"{what}PostUri"].replace("{text}", reason)).status_code

    def play(host: HostProcess) -> Any:
        links = start(host, "Gate", f"gate-{by}")
        running(host, links)
        answers = [told(host, links, "suspend", "a rest")]
        host.wait_for(links, lambda status: status["runtimeStatus"] == "Suspended", "it is suspended")
        raise_event(host, links, "Pass", "now")
        answers.append(told(host, links, "resume", "go on"))
        host.finished(links)
        seen = [shown(host, links)]
        links = start(host, "Gate", f"gate-{by}-2")
        running(host, links)
        answers.append(told(host, links, "terminate", "enough"))
        host.finished(links)
        answers.append(told(host, links, "terminate", "again"))
        return [answers, *seen, shown(host, links)]

    _, completed, terminated = both.compare(play)
    assert (completed["runtimeStatus"], terminated["runtimeStatus"]) == ("Completed", "Terminated")


@pytest.mark.parametrize("by", ["http", "client"])
def test_rewind_and_restart(both, by):
    def play(host: HostProcess) -> Any:
        links = start(host, "FailsOnce", f"once-{by}")
        host.finished(links)
        seen: list[Any] = [shown(host, links)]
        if by == "client":
            seen.append(ask(host, "rewind", links["id"], "again"))
        else:
            seen.append(host.http.post(links["rewindPostUri"].replace("{text}", "again")).status_code)
        host.wait_for(links, lambda status: status["runtimeStatus"] == "Completed", "it is mended")
        seen.append(shown(host, links))
        if by == "client":
            seen.append(links["id"] in json.dumps(ask(host, "restart", links["id"], False)))
        else:
            seen.append(host.http.post(links["restartPostUri"]).status_code)
        host.completed(links)
        return [*seen, shown(host, links)]

    both.compare(play)


def test_the_client(both):
    def play(host: HostProcess) -> Any:
        run(host, "Chain", "client-1", {"a": 1})
        run(host, "Chain", "client-2")
        run(host, "Broken", "client-3")
        waiting = start(host, "Gate", "client-4")
        running(host, waiting)
        seen = [ask(host, what, "client-1") for what in ("status", "links")]
        seen += [ask(host, what, "client-") for what in ("statuses", "all")]
        seen += [ask(host, "status", "client-3"), ask(host, "status", "nobody")]
        seen += [ask(host, what, "client-1", "late") for what in ("terminate", "suspend", "resume")]
        seen += [ask(host, what, "nobody", "why") for what in ("terminate", "suspend", "resume", "rewind")]
        seen += [ask(host, "rewind", "client-1", "why"), ask(host, "restart", "nobody", False)]
        seen += [
            ask(host, "raise", id, {"name": "Pass", "data": {"n": 1}}) for id in ("client-4", "client-3", "nobody")
        ]
        host.finished(waiting)
        seen += [ask(host, "start", "client-1"), host.finished(host.start_instance("/api/start/NoSteps/client-5"))]
        seen += [shown(host, waiting), ask(host, "purge", "client-2"), ask(host, "purge", "client-2")]
        return seen

    both.compare(play)


def test_entities_from_outside(both):
    def play(host: HostProcess) -> Any:
        seen = [ask(host, "entity", "outside")]
        for op, input in (("add", 5), ("fail", "x"), ("add", 2), ("get", None)):
            seen.append(ask(host, "signal", "outside", {"op": op, "input": input}))
        # The same sender's operations run in order, and a call is answered last.
        while (state := ask(host, "entity", "outside"))["state"] != 7:
            assert "ended with code" not in host.log()
        seen.append(state)
        ask(host, "signal", "outside", {"op": "delete", "input": None})
        while ask(host, "entity", "outside")["exists"]:
            assert "ended with code" not in host.log()
        return seen

    both.compare(play)


def test_kill_9_in_the_middle(both):
    def play(host: HostProcess) -> Any:
        gate = start(host, "Gate", "killed-gate")
        loop = start(host, "Loop", "killed-loop")
        for links in (gate, loop):
            running(host, links)
        raise_event(host, loop, "Item", "early")
        host.kill()
        host.start()
        raise_event(host, gate, "Pass", "now")
        raise_event(host, loop, "Begin", True)
        host.wait_for(loop, lambda status: status["customStatus"] == 1, "one item taken")
        host.kill()
        host.start()
        for item in (2, 3):
            raise_event(host, loop, "Item", item)
        return [shown(host, links) for links in (gate, loop) if host.completed(links)]

    gate, loop = both.compare(play)
    assert (gate["output"], loop["output"]) == (['said "before"', 'said "now"'], ["early", 2, 3])
