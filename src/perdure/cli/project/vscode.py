"""The files of VS Code that make F5 run an app on perdure. Entries that are there stay as they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from perdure.cli.debugging import DEFAULT_PORT
from perdure.cli.project.jsonc import NotJsonc, read_jsonc, with_item, with_member

TASK = "perdure: start"
LAUNCH: dict[str, Any] = {
    "name": "Run with perdure",
    "type": "debugpy",
    "request": "launch",
    "module": "perdure",
    "args": ["start", "--reload"],
    "cwd": "${workspaceFolder}",
    "console": "integratedTerminal",
    "subProcess": True,
}
ATTACH: dict[str, Any] = {
    "name": "Attach to perdure",
    "type": "debugpy",
    "request": "attach",
    "connect": {"host": "127.0.0.1", "port": DEFAULT_PORT},
    "preLaunchTask": TASK,
}
START: dict[str, Any] = {
    "label": TASK,
    "type": "process",
    "command": "${command:python.interpreterPath}",
    "args": ["-m", "perdure", "start", "--debug-port", str(DEFAULT_PORT)],
    "options": {"cwd": "${workspaceFolder}"},
    "isBackground": True,
    "problemMatcher": {
        "owner": "perdure",
        "pattern": {"regexp": "^$"},
        "background": {"activeOnStart": True, "beginsPattern": "^perdure ", "endsPattern": "Ctrl\\+C stops"},
    },
}
EXTENSIONS = ("ms-python.python", "ms-python.debugpy", "ms-azuretools.vscode-azurefunctions")

Change = Callable[[str], str]


def changes(sdk_folder: Path | None) -> dict[str, Change]:
    """File name below ``.vscode`` → what makes its new text of its old one. Each may raise NotJsonc."""
    return {"launch.json": _launch, "tasks.json": _tasks, "settings.json": _settings(sdk_folder)}


def _launch(text: str) -> str:
    text = _with_version(text, "0.2.0")
    # The first configuration is what F5 runs in a workspace that has not chosen one.
    for entry in (LAUNCH, ATTACH):
        text = _with_named(text, "configurations", "name", entry)
    return text


def _tasks(text: str) -> str:
    return _with_named(_with_version(text, "2.0.0"), "tasks", "label", START)


def _settings(sdk_folder: Path | None) -> Change:
    def change(text: str) -> str:
        if sdk_folder is None:
            return text
        return _with_text(text, "python.analysis.extraPaths", str(sdk_folder))

    return change


def recommend(text: str) -> str:
    """The text of extensions.json with what the app needs."""
    for name in EXTENSIONS:
        text = _with_text(text, "recommendations", name)
    return text


def _with_version(text: str, version: str) -> str:
    return text if "version" in read_jsonc(text) else with_member(text, "version", version)


def _with_named(text: str, key: str, name: str, entry: dict[str, Any]) -> str:
    present = read_jsonc(text).get(key, [])
    if not isinstance(present, list):
        raise NotJsonc(f"'{key}' is no array")
    if any(isinstance(other, dict) and other.get(name) == entry[name] for other in present):
        return text
    return with_item(text, key, entry)


def _with_text(text: str, key: str, item: str) -> str:
    present = read_jsonc(text).get(key, [])
    return text if isinstance(present, list) and item in present else with_item(text, key, item)
