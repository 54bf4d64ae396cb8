"""Black boxes of several processes on one machine: each has a place, and whoever comes next finds what was left."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from perdure.host.box_places import OnMachine, box_place
from perdure.storage.places import MemoryPlace, ServerPlace
from support.host_process import checkout_environment, wait_until

PROGRAM = """
import asyncio, sys, time
from pathlib import Path
from perdure.host.box_places import OnMachine

async def main():
    place = OnMachine(Path(sys.argv[1]), "Shop")
    await place.open()
    place.box.enter("T" + sys.argv[2])
    Path(sys.argv[1], sys.argv[2]).write_text("in")
    time.sleep(60)

asyncio.run(main())
"""


def test_who_comes_next_finds_what_a_killed_process_was_in(tmp_path: Path) -> None:
    running = [start(tmp_path, name) for name in ("a", "b")]
    for process in running:
        process.kill()
        process.wait()

    async def run() -> tuple[list[str], list[str], list[str]]:
        places = [OnMachine(tmp_path, "shop") for _ in range(3)]
        first, second, third = [await place.open() for place in places]
        assert places[0].box.suspicion("Ta") == 1
        for place in places:
            place.close()
            place.close()
        return first, second, third

    assert asyncio.run(run()) == (["Ta"], ["Tb"], [])


def start(folder: Path, name: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), name], env=checkout_environment())
    wait_until((folder / name).exists, "it is in user code", about=lambda: f"{process.poll()} {time.time()}")
    return process


def test_where_nothing_can_be_written_there_is_no_box(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    place = OnMachine(in_the_way, "shop")
    assert asyncio.run(place.open()) == []
    place.box.enter("Ta")
    place.box.leave("Ta")
    place.close()


def test_the_folder_keeps_itself_out_of_git(tmp_path: Path) -> None:
    place = box_place(ServerPlace("postgresql://db/shop"), tmp_path / ".perdure", "Shop")
    assert place is not None
    asyncio.run(place.open())
    assert (tmp_path / ".perdure" / ".gitignore").read_text() == "*\n"
    place.close()
    assert [name for name in os.listdir(tmp_path / ".perdure" / "boxes") if name.endswith(".box")] == []
    assert box_place(MemoryPlace(), tmp_path, "Shop") is None
