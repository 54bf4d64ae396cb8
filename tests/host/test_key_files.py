"""Keys on disk: who may read them, what is refused, and when a change is seen."""

import json
import os
import stat
from pathlib import Path

import pytest

from perdure.functions.app_settings import AppSettings
from perdure.host.key_files import KeyFiles, KeyFilesError, key_folder
from perdure.http_api.keys import KeyRing

NONE = AppSettings({})


@pytest.fixture
def files(tmp_path: Path) -> KeyFiles:
    return KeyFiles(tmp_path / "hub.db.keys")


def written(path: Path, content: object, mode: int = 0o600) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(json.dumps(content) if not isinstance(content, str) else content)
    path.chmod(mode)


def test_keys_are_made_once_and_read_again(files: KeyFiles):
    ring = files.complete({"Hello"})
    assert KeyFiles(files.folder).ring() == ring
    assert KeyFiles(files.folder).complete({"hello"}) == ring
    content = json.loads((files.folder / "host.json").read_text())
    assert content["masterKey"] == {"name": "master", "value": ring.master, "encrypted": False}
    assert [row["name"] for row in content["functionKeys"]] == ["default"]
    assert [row["name"] for row in content["systemKeys"]] == ["durabletask_extension"]
    assert [row["name"] for row in json.loads((files.folder / "hello.json").read_text())["keys"]] == ["default"]


def test_only_their_owner_may_read_them(files: KeyFiles):
    before = os.umask(0)
    try:
        files.complete({"hello"})
    finally:
        os.umask(before)
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.folder.iterdir()} == {0o600}
    assert {path.name for path in files.folder.iterdir()} == {"host.json", "hello.json"}


def test_no_folder_means_no_keys(files: KeyFiles):
    assert files.ring() == KeyRing()
    assert not files.folder.exists()


def test_a_change_from_outside_is_seen_and_told(files: KeyFiles):
    files.complete(())
    told: list[KeyRing] = []
    files.watch(told.append)
    changed = KeyFiles(files.folder).ring().with_function_keys("hello", {"a": "b"})
    KeyFiles(files.folder).save(changed)
    assert files.ring() == changed
    assert told == [changed]


def test_a_file_that_others_may_read_is_refused(files: KeyFiles):
    written(files.folder / "host.json", {}, mode=0o644)
    with pytest.raises(KeyFilesError, match=r"chmod 600 .*host\.json"):
        files.ring()


@pytest.mark.parametrize("name", ["host.json", "hello.json"])
def test_a_link_is_not_followed(files: KeyFiles, tmp_path: Path, name: str):
    written(tmp_path / "elsewhere.json", {"keys": [{"name": "a", "value": "b"}]})
    files.folder.mkdir(mode=0o700)
    (files.folder / name).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(KeyFilesError, match="links are not followed"):
        files.ring()


def test_a_folder_that_is_a_link_is_refused(files: KeyFiles, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    files.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFilesError, match="links are not followed"):
        files.complete(())
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ([], "JSON object"),
        ({"functionKeys": [{"name": "a"}]}, "'functionKeys' holds an entry without name or value"),
        ({"systemKeys": ["a"]}, "'systemKeys'"),
        ({"masterKey": None}, "'master'"),
        ({"masterKey": {"name": "master", "value": ""}}, "without name or value"),
        ({"functionKeys": [{"name": "a", "value": "b", "encrypted": True}]}, "'a' is encrypted"),
    ],
)
def test_a_file_that_holds_no_keys_is_named(files: KeyFiles, content: object, says: str):
    written(files.folder / "host.json", content)
    with pytest.raises(KeyFilesError, match=says) as raised:
        files.ring()
    assert "host.json" in str(raised.value)


def test_keys_lie_beside_their_store(tmp_path: Path):
    assert key_folder(f"sqlite:{tmp_path}/a/hub.db", tmp_path, NONE) == tmp_path / "a" / "hub.db.keys"
    assert key_folder("sqlite:///a/hub.db", tmp_path, NONE) == Path.cwd() / "a" / "hub.db.keys"
    assert key_folder("memory:", tmp_path, NONE) == tmp_path / ".perdure" / "keys"
    said = AppSettings({"FUNCTIONS_SECRETS_PATH": "/somewhere"})
    assert key_folder("memory:", tmp_path, said) == Path("/somewhere")
