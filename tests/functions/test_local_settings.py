import json
from pathlib import Path
from typing import Any

import pytest

from perdure.functions.app_settings import AppSettings, UnresolvedSetting
from perdure.functions.local_settings import (
    LocalSettings,
    LocalSettingsError,
    apply_local_settings,
    read_local_settings,
)


def _read(folder: Path, content: Any) -> LocalSettings:
    (folder / "local.settings.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return read_local_settings(folder)


def test_no_file_is_fine(tmp_path: Path) -> None:
    assert read_local_settings(tmp_path) == LocalSettings({})


def test_reads_all_sections(tmp_path: Path) -> None:
    local = _read(
        tmp_path,
        {
            "IsEncrypted": False,
            "Values": {"A": "1", "EMPTY": "", "N": 5, "B": True, "NULL": None, "": "x", "OBJECT": {}},
            "ConnectionStrings": {"Sql": "Server=x", "Other": {"ConnectionString": "y", "ProviderName": "z"}},
            "Host": {"LocalHttpPort": 7072, "LocalHttpAddress": "127.0.0.2", "CORS": "*", "CORSCredentials": True},
        },
    )
    assert local.values == {
        "A": "1",
        "EMPTY": "",
        "N": "5",
        "B": "true",
        "ConnectionStrings:Sql": "Server=x",
        "ConnectionStrings:Other": "y",
    }
    assert (local.http_port, local.http_address, local.cors, local.cors_credentials) == (7072, "127.0.0.2", "*", True)
    assert len(local.notices) == 3


def test_encrypted_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalSettingsError, match="func settings decrypt"):
        _read(tmp_path, {"IsEncrypted": True, "Values": {}})


@pytest.mark.parametrize("content", ["{", "[]", '{"Values": []}', '{"Host": {"LocalHttpPort": "x"}}'])
def test_what_is_not_usable_is_a_notice(tmp_path: Path, content: str) -> None:
    local = _read(tmp_path, content)
    assert local.values == {}
    assert len(local.notices) == 1


def test_real_variables_win(tmp_path: Path) -> None:
    environment = {"A": "real", "SAME": "s"}
    notices = apply_local_settings(
        LocalSettings({"A": "file", "B": "b", "SAME": "s"}), environment, folder=tmp_path, port=7075
    )
    assert environment["A"] == "real"
    assert environment["B"] == "b"
    assert environment["WEBSITE_HOSTNAME"] == "localhost:7075"
    assert environment["AzureWebJobsScriptRoot"] == str(tmp_path)
    assert environment["AZURE_FUNCTIONS_ENVIRONMENT"] == "Development"
    assert [n for n in notices if "'A'" in n] == notices


def test_look_up_ignores_case_and_separators() -> None:
    settings = AppSettings({"Section__Key": "v", "exact": "e", "EXACT": "E"})
    assert settings.get("section:key") == "v"
    assert settings.get("exact") == "e"
    assert settings.get("EXACT") == "E"
    assert settings.get("nope") is None


def test_resolving() -> None:
    settings = AppSettings({"NAME": "world", "A:B": "ab"})
    assert settings.resolve("hello %name%, %a__b%") == "hello world, ab"
    assert settings.resolve_all({"route": "%NAME%", "n": 5}) == {"route": "world", "n": 5}
    for text in ("%NOPE%", "50% off"):
        with pytest.raises(UnresolvedSetting, match="%"):
            settings.resolve(text)


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("False", False), ("", False)])
def test_flags(value: str, expected: bool) -> None:
    assert AppSettings({"F": value}).is_true("F", "G") is expected


@pytest.mark.parametrize(
    ("value", "expected"), [("8", 8), (" 8 ", 8), ("0", 5), ("-1", 5), ("x", 5), ("", 5), ("²", 5), ("9" * 5000, 5)]
)
def test_numbers(value: str, expected: int) -> None:
    assert AppSettings({"N": value}).positive_integer("n", 5) == expected
