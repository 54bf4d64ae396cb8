"""The activities: sync and async, of one argument and of two, failing at first, always, or never."""

import asyncio
import os
from pathlib import Path

import azure.durable_functions as df
from durabletask import task

bp = df.Blueprint()


@bp.activity_trigger(input_name="number")
def double(number: int) -> int:
    return number * 2


@bp.activity_trigger(input_name="number")
async def triple(number: int) -> int:
    await asyncio.sleep(0.005)
    return number * 3


@bp.activity_trigger(input_name="key")
def fails_once(key: str) -> str:
    folder = Path("tried")
    folder.mkdir(exist_ok=True)
    try:
        os.close(os.open(folder / key, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return f"{key} worked"
    raise ConnectionError(f"{key} did not work yet")


@bp.activity_trigger(input_name="number")
def refuses(number: int) -> int:
    raise ValueError(f"{number} is refused")


@bp.activity_trigger(input_name="number")
def describe(context: task.ActivityContext, number: int) -> str:
    return f"{number} of {context.orchestration_id}"
