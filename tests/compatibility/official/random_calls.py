"""Random orchestrators, and the pasts that a host would hand them. Runs on the SDK it is given, ours or the official.

A program is data, run by ``orchestrator``; the host here is as simple as can be: it numbers what an answer asks for in
the order of the answer, and completes some of it.
"""

import json
import random
from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("activity", "activity", "retry", "child", "child_retry", "timer", "event", "entity", "http")
SHAPES = ("one", "one", "all", "any", "nested", "mixed", "signal", "status", "again", "cancel", "guid")


def random_program(rng, shapes):
    """A list of statements over numbered tasks; each task is made where it is first needed."""
    statements = []
    tasks = 0
    waited = []
    for _ in range(rng.randint(1, 5)):
        shape = rng.choice(shapes)
        if shape in ("one", "all", "any", "nested", "mixed"):
            count = 1 if shape == "one" else rng.randint(1, 4)
            made = []
            for _ in range(count):
                statements.append({"do": "make", "task": tasks, **_random_task(rng, tasks)})
                made.append(tasks)
                tasks += 1
            known = rng.sample(waited, min(len(waited), 2))
            waited += made
            if shape == "mixed":
                tree = {"group": rng.choice(("all", "any")), "of": rng.sample(made + known, len(made + known))}
            elif shape == "nested":
                inner = {"group": rng.choice(("all", "any")), "of": made[:-1]} if len(made) > 1 else made[0]
                tree = {"group": rng.choice(("all", "any")), "of": [inner, made[-1]] if len(made) > 1 else [inner]}
            else:
                tree = made[0] if shape == "one" else {"group": shape, "of": made}
            statements.append({"do": "yield", "tree": tree, "catch": rng.random() < 0.5})
        elif shape == "signal":
            statements.append({"do": "signal", "key": str(rng.randint(0, 2)), "input": rng.choice((None, 1, "x"))})
        elif shape == "status":
            statements.append({"do": "status", "value": rng.choice(("busy", {"p": 1}, [1, 2]))})
        elif shape == "again" and waited:
            count = rng.randint(1, min(3, len(waited)))
            tree = (
                rng.choice(waited)
                if count == 1
                else {"group": rng.choice(("all", "any")), "of": rng.sample(waited, count)}
            )
            statements.append({"do": "yield", "tree": tree, "catch": rng.random() < 0.5})
        elif shape == "cancel" and waited:
            statements.append({"do": "cancel", "task": rng.choice(waited)})
        elif shape == "guid":
            statements.append({"do": "guid"})
    statements.append(
        rng.choice(
            (
                {"do": "return"},
                {"do": "return"},
                {"do": "raise", "text": rng.choice(("", "broken"))},
                {"do": "continue", "input": {"n": 1}},
                {"do": "return_object"},
            )
        )
    )
    return statements


def _random_task(rng, number):
    kind = rng.choice(KINDS)
    if kind == "event":
        return {"kind": kind, "name": f"event{number}"}
    if kind == "timer":
        return {"kind": kind, "seconds": rng.choice((1, 30, 3600, 10 * 86400))}
    return {"kind": kind, "input": rng.choice((None, 1, "text", {"a": [1, None]})), "name": f"{kind}{number}"}


def orchestrator_of(df, statements):
    """The program as an orchestrator function of the 1.x generation."""

    def make(context, spec):
        kind = spec["kind"]
        retry = df.RetryOptions(1000, 2)
        if kind == "activity":
            return context.call_activity(spec["name"], spec["input"])
        if kind == "retry":
            return context.call_activity_with_retry(spec["name"], retry, spec["input"])
        if kind == "child":
            return context.call_sub_orchestrator(spec["name"], spec["input"], instance_id="child", version="2")
        if kind == "child_retry":
            return context.call_sub_orchestrator_with_retry(spec["name"], retry, spec["input"])
        if kind == "timer":
            return context.create_timer(context.current_utc_datetime + timedelta(seconds=spec["seconds"]))
        if kind == "event":
            return context.wait_for_external_event(spec["name"])
        if kind == "entity":
            return context.call_entity(df.EntityId("Counter", spec["name"]), "get", spec["input"])
        return context.call_http("POST", "https://host.example/" + spec["name"], spec["input"], {"h": "v"})

    def shown(value, tasks):
        for number, task in tasks.items():
            if value is task:
                return f"task {number}"
        if value == [None]:
            return None  # the official package's long timers give a list
        if isinstance(value, list):
            return [shown(member, tasks) for member in value]
        return value if value is None or isinstance(value, (str, int, dict)) else "group"

    def orchestrator(context):
        tasks = {}
        seen = [context.is_replaying]

        def tree_of(node):
            if isinstance(node, int):
                return tasks[node]
            members = [tree_of(member) for member in node["of"]]
            # A group that holds a task that has failed already may succeed there; ours fails.
            has_failed = any(isinstance(member.result, Exception) for member in members)
            is_all = node["group"] == "all" and not has_failed
            return context.task_all(members) if is_all else context.task_any(members)

        for statement in statements:
            what = statement["do"]
            if what == "make":
                tasks[statement["task"]] = make(context, statement)
            elif what == "yield":
                tree = tree_of(statement["tree"])
                # Which part of the past a group belongs to that was complete when it was made, is anybody's guess.
                is_told = isinstance(statement["tree"], int) or not tree.is_completed
                try:
                    value = yield tree
                    seen.append(shown(value, tasks))
                except Exception as error:
                    if not statement["catch"]:
                        raise
                    seen.append(str(error))
                seen.append(context.is_replaying if is_told else None)
                seen.append(context.current_utc_datetime.isoformat())
            elif what == "signal":
                context.signal_entity(df.EntityId("Log", statement["key"]), "add", statement["input"])
            elif what == "status":
                context.set_custom_status(statement["value"])
            elif what == "cancel":
                task = tasks[statement["task"]]
                # Cancelling a long timer does not reach its current hop there; ours does.
                if type(task).__name__ == "TimerTask" and not task.is_completed:
                    task.cancel()
            elif what == "guid":
                seen.append([context.new_uuid(), str(context.new_guid())])
            elif what == "raise":
                raise ValueError(statement["text"])
            elif what == "continue":
                context.continue_as_new(statement["input"])
            elif what == "return_object":
                return object()
        return seen

    return orchestrator


class Host:
    """Plays the host against one answer after the other."""

    def __init__(self, rng, schema, events):
        self._rng = rng
        self._early = [event for event in events if rng.random() < 0.3]
        """External events that are raised before, or without, a wait for them."""
        self._marks_played = not self._early and rng.random() < 0.5
        self._raised = set()
        self._schema = schema
        self._now = BEGIN
        self._known = 0
        self._next_id = 0
        self._open = []
        self._history = []
        self._began_episode()
        self._add(
            0,
            -1,
            OrchestrationInstance={"InstanceId": "i", "ExecutionId": "e"},
            ParentInstance=None,
            Name="orch",
            Version=rng.choice(("", "1.2")),
            Input=None,
            Tags=None,
        )

    def context(self):
        if self._marks_played:
            starts = [n for n, event in enumerate(self._history) if event["EventType"] == 12]
            for event in self._history[: starts[-1]]:
                event["IsPlayed"] = True
        context = {
            "history": self._history,
            "input": None,
            "instanceId": "0123456789abcdef",
            "isReplaying": len(self._history) > 2,
            "parentInstanceId": None,
            "upperSchemaVersion": min(self._schema, 1),
        }
        if self._schema == 2:
            context |= {
                "upperSchemaVersionNew": 2,
                "maximumShortTimerDuration": "6.00:00:00",
                "longRunningTimerIntervalDuration": "3.00:00:00",
            }
        return json.dumps(context)

    def take(self, answer):
        """Record what is new in the answer, and let something happen; False when nothing can."""
        actions = [leaf for inner in answer["actions"] for action in inner for leaf in _leaves(action)]
        for action in actions[self._known :]:
            self._start(action)
        self._known = len(actions)
        if not self._open and not self._early:
            return False
        self._add(13, -1)
        self._began_episode()
        if self._rng.random() < 0.2:
            self._add(self._rng.choice((19, 20)), -1, Reason="because")
        if self._early and (not self._open or self._rng.random() < 0.3):
            self._complete(("event", self._early.pop(), None))
            return True
        # A retry's next id comes after those of what the code asks for in answer to events before; the worker knows.
        is_retrying = any(what == "retry_timer" or (what == "call" and more[1]) for what, _, more in self._open)
        for _ in range(1 if is_retrying else self._rng.randint(1, min(3, len(self._open)))):
            if self._open:
                self._complete(self._open.pop(self._rng.randrange(len(self._open))))
        return True

    def _began_episode(self):
        self._now += timedelta(seconds=self._rng.choice((1, 2.5)))
        self._add(12, -1)

    def _add(self, kind, event_id, **fields):
        stamp = self._now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._history.append({"EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": stamp, **fields})

    def _take_id(self):
        self._next_id += 1
        return self._next_id - 1

    def _start(self, action):
        kind = action["actionType"]
        if kind == 6:
            if action["externalEventName"] in self._early:
                self._early.remove(action["externalEventName"])
            elif action["externalEventName"] in self._raised:
                return
            self._open.append(("event", action["externalEventName"], None))
        elif kind == 4:
            self._take_id()
        elif kind in (7, 9):
            number = self._take_id()
            request = {"op": action["operation"], "input": action["input"], "id": f"request-{number}"}
            if kind == 9:
                request["signal"] = True
            else:
                self._open.append(("entity", request["id"], None))
            self._add(14, number, InstanceId=action["instanceId"], Name="op", Input=json.dumps(request))
        elif kind == 5:
            number = self._take_id()
            self._add(10, number, FireAt=action["fireAt"])
            if not action["isCanceled"]:
                self._open.append(("timer", number, action["fireAt"]))
        else:
            self._attempt(kind, 2 if kind in (1, 3) else 0)

    def _attempt(self, kind, attempts_left):
        number = self._take_id()
        if kind in (2, 3):
            self._add(7, number, Name="child", Version="", InstanceId="c", Input=None)
        else:
            self._add(4, number, Name="a", Version="", Input=None)
        self._open.append(("call", number, (kind, attempts_left)))

    def _complete(self, entry):
        what, key, more = entry
        failed = self._rng.random() < 0.35
        if what == "event":
            self._raised.add(key)
            self._add(15, -1, Name=key, Input=self._rng.choice((None, "1", '{"k": "v"}')))
        elif what == "entity":
            answer = {"result": json.dumps("bad"), "exceptionType": "Error"} if failed else {"result": "42"}
            self._add(15, -1, Name=key, Input=json.dumps(answer))
        elif what == "timer":
            at = datetime.strptime(more, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
            if at > self._now:
                self._now = at
                self._history_start_moves()
            self._add(11, -1, TimerId=key, FireAt=more)
        elif what == "retry_timer":
            self._add(11, -1, TimerId=key, FireAt="2026-01-01T00:00:00Z")
            kind, left = more
            if left:
                self._attempt(kind, left)
        elif failed:
            kind, left = more
            self._add(
                9 if kind in (2, 3) else 6, -1, TaskScheduledId=key, Reason=f"reason {key}", Details=f"details {key}"
            )
            if kind in (1, 3):
                number = self._take_id()
                self._add(10, number, FireAt="2026-01-01T00:00:00Z")
                self._open.append(("retry_timer", number, (kind, left - 1)))
        else:
            kind, _ = more
            result = json.dumps({"statusCode": 200, "headers": {}, "content": "c"}) if kind == 8 else json.dumps([key])
            self._add(8 if kind in (2, 3) else 5, -1, TaskScheduledId=key, Result=result)

    def _history_start_moves(self):
        """The episode is as late as its timer."""
        for event in reversed(self._history):
            event["Timestamp"] = self._now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            if event["EventType"] == 12:
                return


def _leaves(action):
    if action["actionType"] in (11, 12):
        return [leaf for member in action["compoundActions"] for leaf in _leaves(member)]
    return [action]


def play(df, seed):
    """One program and its whole life with this SDK as the worker: [context, answer or failure] of each call."""
    rng = random.Random(seed)
    schema = seed % 3
    # In the first schema the official package repeats known members of a group, so that a host runs them again.
    program = random_program(rng, SHAPES if schema else [shape for shape in SHAPES if shape != "mixed"])
    handle = df.Orchestrator.create(orchestrator_of(df, program))
    host = Host(rng, schema, [statement["name"] for statement in program if statement.get("kind") == "event"])
    calls = []
    for _ in range(25):
        context = host.context()
        answer = call(handle, context)
        calls.append([context, answer])
        if answer[0] != "answer" or answer[1]["isDone"] or not host.take(answer[1]):
            break
    return {"program": program, "calls": calls}


def call(handle, context):
    """The answer as a value: what came of the call, comparable."""
    try:
        return ["answer", json.loads(handle(context))]
    except Exception as error:
        return ["raised", type(error).__name__, str(error)]


def call_entity(df, seed):
    """One random batch and the answer to it, without the times."""
    rng = random.Random(seed)
    context = random_batch(rng)
    answer = call(df.Entity.create(counter), context)
    if answer[0] == "answer":
        for result in answer[1]["results"]:
            del result["duration"], result["startTime"]
    return {"context": context, "answer": answer}


def random_batch(rng):
    state = rng.choice((None, "10", "0", '{"a":   1}'))
    operations = [
        {
            "name": rng.choice(("add", "get", "delete", "input", "fail", "fail_mute")),
            "input": rng.choice(INPUTS),
            "isSignal": False,
        }
        for _ in range(rng.randint(1, 4))
    ]
    address = {"name": "counter", "key": "Key1"}
    return json.dumps({"self": address, "exists": state is not None, "state": state, "batch": operations})


INPUTS = ("null", json.dumps("5"), json.dumps('"text"'), json.dumps('{"a": [1, null]}'))


def counter(context):
    """An entity that sets a result in every operation and no state before it fails."""
    operation = context.operation_name
    if operation == "add":
        state = context.get_state(lambda: 0)
        context.set_state((state if isinstance(state, int) else 0) + 1)
        context.set_result(context.get_state())
    elif operation == "get":
        context.set_result([context.get_state(), context.entity_name, context.entity_key, context.is_newly_constructed])
    elif operation == "delete":
        context.set_result(None)
        context.destruct_on_exit()
    elif operation == "input":
        context.set_result(context.get_input())
    elif operation == "fail":
        raise ValueError("bad operation")
    else:
        raise KeyError
