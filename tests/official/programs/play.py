"""Play scenarios against a server: ``python play.py ADDRESS HUB [NAME…]``; a JSON line of what each one saw."""

import json
import sys
import time
import traceback
from contextlib import nullcontext

import choices
import entity_scenes
import extras
import flows
import sizes
import stage
import steering

PARTS = (choices, entity_scenes, extras, flows, sizes, steering)
"""Imported for what they register."""


def main(address: str, hub: str, *names: str) -> None:
    chosen = names or tuple(stage.SCENARIOS)
    on = stage.Stage(address, hub)
    with on.shared_worker() if stage.SHARED & set(chosen) else nullcontext():
        play(on, [name for name in chosen if name in stage.SHARED])
    play(on, [name for name in chosen if name not in stage.SHARED])
    on.client.close()


def play(on: stage.Stage, names: list[str]) -> None:
    for name in names:
        begin = time.monotonic()
        try:
            seen = {"seen": stage.SCENARIOS[name](on)}
        except Exception:
            seen = {"error": traceback.format_exc()}
        print(json.dumps({"scenario": name, **seen, "seconds": round(time.monotonic() - begin, 2)}), flush=True)


main(*sys.argv[1:])
