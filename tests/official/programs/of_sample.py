"""A worker with the functions of a portable sample, until its input ends: ``python of_sample.py ADDRESS HUB FILE``."""

import importlib.util
import inspect
import json
import sys

from stage import Stage

from durabletask.entities import DurableEntity
from durabletask.worker import TaskHubGrpcWorker

SPEC = importlib.util.spec_from_file_location("app", sys.argv[3])
assert SPEC is not None
assert SPEC.loader is not None
app = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(app)


def prepare(worker: TaskHubGrpcWorker) -> None:
    worker.add_all(app)
    for _, kind in inspect.getmembers(app, inspect.isclass):
        if issubclass(kind, DurableEntity):
            worker.add_entity(kind)


with Stage(sys.argv[1], sys.argv[2]).worker(prepare=prepare):
    print(json.dumps("started"), flush=True)
    sys.stdin.read()
