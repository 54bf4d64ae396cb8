"""`perdure settings` and `perdure info` (cli.md §6, §8)."""

import json
import sys
from pathlib import Path

import pytest

from perdure import __version__
from perdure.sdks import sdk_folder
from support.commands import command, value_of


def content(folder: Path) -> dict[str, object]:
    return json.loads((folder / "local.settings.json").read_text())


def test_settings_are_set_listed_and_removed(tmp_path: Path):
    assert command("settings", "add", "Region", "west", folder=tmp_path).code == 0
    assert command("settings", "add", "Database", "host=db", "--connectionString", folder=tmp_path).code == 0
    assert content(tmp_path) == {
        "IsEncrypted": False,
        "Values": {"Region": "west"},
        "ConnectionStrings": {"Database": {"ConnectionString": "host=db"}},
    }
    masked = command("settings", "list", folder=tmp_path).out
    assert "Region" in masked
    assert "west" not in masked
    assert value_of("settings", "list", "-a", "--json", folder=tmp_path) == {
        "Values": {"Region": "west"}, "ConnectionStrings": {"Database": "host=db"},
    }  # fmt: skip
    assert command("settings", "delete", "Region", folder=tmp_path).code == 0
    assert command("settings", "delete", "Database", "--connectionString", folder=tmp_path).code == 0
    assert content(tmp_path)["Values"] == content(tmp_path)["ConnectionStrings"] == {}


def test_what_was_set_is_told_to_programs(tmp_path: Path):
    words = ("settings", "add", "Database", "host=db", "--connectionString", "--json")
    assert value_of(*words, folder=tmp_path) == {"set": "Database", "section": "ConnectionStrings"}
    assert value_of("settings", "add", "Region", "west", "--json", folder=tmp_path)["section"] == "Values"
    deleted = value_of("settings", "delete", "Region", "--json", folder=tmp_path)
    assert deleted == {"deleted": "Region", "section": "Values"}


def test_the_rest_of_the_file_stays(tmp_path: Path):
    (tmp_path / "local.settings.json").write_text('{"values": {"A": "ü"}, "Host": {"CORS": "*"}}', "utf-8")
    command("settings", "add", "B", "2", "--script-root", tmp_path)
    assert content(tmp_path) == {"values": {"A": "ü", "B": "2"}, "Host": {"CORS": "*"}}


@pytest.mark.parametrize(
    ("text", "words", "code", "says"),
    [
        (None, ["delete", "A"], 4, "'A'"),
        (None, ["add", "A"], 2, "'A'"),
        ("{,}", ["list"], 1, "line 1, column 2"),
        ("[]", ["list"], 1, "object"),
        ('{"IsEncrypted": true}', ["list"], 1, "decrypt"),
        ('{"Values": 3}', ["add", "A", "1"], 1, "Values"),
        (None, ["encrypt"], 1, "environment"),
        (None, ["decrypt"], 1, "environment"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, text: str | None, words: list[str], code: int, says: str):
    if text is not None:
        (tmp_path / "local.settings.json").write_text(text)
    refused = command("settings", *words, folder=tmp_path)
    assert (refused.code, says in refused.err) == (code, True), refused
    assert len(refused.error_lines) <= 3


def test_info_tells_what_runs_here(tmp_path: Path):
    facts = value_of("info", "--json", folder=tmp_path)
    assert (facts["perdure"], facts["interpreter"]) == (__version__, sys.executable)
    assert facts["store"] == f"sqlite:{tmp_path / '.perdure' / 'hub.db'}"
    assert facts["durability"] == "full"
    assert "azure-functions" in facts["installed"]
    assert f"perdure          {__version__}" in command("info", folder=tmp_path).out
    assert command("info", "--sdk-path", folder=tmp_path).out == f"{sdk_folder()}\n"
    assert not (tmp_path / ".perdure").exists()


def test_info_of_a_folder_with_wrong_settings(tmp_path: Path):
    (tmp_path / "host.json").write_text("{")
    facts = value_of("info", "--json", folder=tmp_path)
    assert facts["store"] is None
    assert "host.json" in facts["problem"]
