"""The box names what was in user code when the process died, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from perdure.execution.black_box import BlackBox, NoBox, activity_key, turn_key
from support.host_process import checkout_environment

DIE_INSIDE = """
import os, sys
from pathlib import Path
from perdure.execution.black_box import BlackBox, turn_key, activity_key
box = BlackBox(Path(sys.argv[1]))
box.open()
box.enter(turn_key("done")); box.leave(turn_key("done"))
box.enter(turn_key("poison"))
slot = box.enter_shared(activity_key(7))
gone = box.enter_shared(activity_key(8)); box.leave_shared(gone, activity_key(8))
os.kill(os.getpid(), 9)
"""


def die(store: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", DIE_INSIDE, str(store)], env=checkout_environment(), check=False)
    assert ended.returncode == -9


def test_what_was_in_user_code_is_named_after_sigkill(tmp_path: Path) -> None:
    store = tmp_path / "hub.db"
    die(store)
    box = BlackBox(store)
    assert sorted(box.open()) == [activity_key(7), turn_key("poison")]
    box.close()


def test_fifth_death_in_a_row_poisons(tmp_path: Path) -> None:
    store = tmp_path / "hub.db"
    for death in range(1, 6):
        die(store)
        box = BlackBox(store)
        box.open()
        assert box.is_poisoned(turn_key("poison")) == (death == 5)
        assert not box.is_poisoned(turn_key("done"))


def test_returning_once_clears_the_count(tmp_path: Path) -> None:
    store = tmp_path / "hub.db"
    for _ in range(4):
        die(store)
        BlackBox(store).open()
    box = BlackBox(store)
    box.open()
    box.enter(turn_key("poison"))
    box.leave(turn_key("poison"))
    box.close()
    die(store)
    box = BlackBox(store)
    box.open()
    assert not box.is_poisoned(turn_key("poison"))
    assert box.is_poisoned(activity_key(7))


def test_zero_tries_turns_it_off(tmp_path: Path) -> None:
    store = tmp_path / "hub.db"
    for _ in range(6):
        die(store)
        BlackBox(store, tries_max=0).open()
    assert not BlackBox(store, tries_max=0).is_poisoned(turn_key("poison"))


def test_orderly_end_leaves_no_suspects(tmp_path: Path) -> None:
    box = BlackBox(tmp_path / "hub.db")
    box.open()
    box.enter(turn_key("cut off by us"))
    box.close()
    assert BlackBox(tmp_path / "hub.db").open() == []


def test_box_of_another_boot_or_damaged_counts_say_nothing(tmp_path: Path) -> None:
    store = tmp_path / "hub.db"
    die(store)
    path = tmp_path / "hub.db.box"
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"x" + content[21:])
    (tmp_path / "hub.db.suspects").write_text("[1, 2", encoding="utf-8")
    assert BlackBox(store).open() == []


def test_more_user_code_than_slots_is_not_noted_and_does_no_harm(tmp_path: Path) -> None:
    box = BlackBox(tmp_path / "hub.db")
    box.open()
    slots = [box.enter_shared(activity_key(n)) for n in range(300)]
    assert slots.count(None) == 300 - 256
    for n, slot in enumerate(slots):
        box.leave_shared(slot, activity_key(n))
    assert box.enter_shared(activity_key(1)) is not None
    box.close()


def test_a_disk_without_space_for_the_counts_fails_no_user_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "hub.db"
    die(store)
    box = BlackBox(store)
    box.open()

    def refuse(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    box.enter(turn_key("poison"))
    box.leave(turn_key("poison"))
    assert box.suspicion(turn_key("poison")) == 0
    assert box.suspicion(activity_key(7)) == 1
    box.close()


def test_code_that_takes_too_long_counts_as_a_death_and_stays_suspected_when_it_returns(tmp_path: Path) -> None:
    store = tmp_path / "hub.db"
    die(store)
    box = BlackBox(store)
    box.open()
    key = turn_key("poison")
    for count in range(2, 6):
        box.enter(key)
        assert not box.is_poisoned(key)
        box.suspect(key)
        box.leave_given_up(key)
        assert box.suspicion(key) == count
    box.close()
    again = BlackBox(store)
    assert again.open() == []
    assert again.is_poisoned(key)


def test_without_a_file_only_what_takes_too_long_is_suspected() -> None:
    box = NoBox()
    for _ in range(4):
        box.suspect("T1")
    assert (box.has_suspects, box.suspicion("T1"), box.is_poisoned("T1")) == (True, 4, False)
    box.enter("T1")
    box.leave("T1")
    assert not box.has_suspects
    for _ in range(5):
        box.suspect("T1")
    box.leave("T1")
    assert box.is_poisoned("T1")
