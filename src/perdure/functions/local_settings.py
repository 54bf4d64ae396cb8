"""local.settings.json: values for the environment, and defaults for the host's address (functions-host.md §6.1)."""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

FILE_NAME = "local.settings.json"


class LocalSettingsError(Exception):
    """The file cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What the file says. ``notices`` are for the user."""

    values: Mapping[str, str]
    http_port: int | None = None
    http_address: str | None = None
    cors: str | None = None
    cors_credentials: bool = False
    notices: tuple[str, ...] = ()


def read_local_settings(folder: Path) -> LocalSettings:
    """Read the file in ``folder``; empty when there is none or when it is not JSON (with a notice).

    Raises LocalSettingsError when its values are encrypted.
    """
    path = folder / FILE_NAME
    try:
        content: Any = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return LocalSettings({})
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return LocalSettings({}, notices=(f"{FILE_NAME} is not valid JSON ({error.msg} at {where}) and is ignored.",))
    except (UnicodeDecodeError, RecursionError):
        return LocalSettings({}, notices=(f"{FILE_NAME} is not JSON in UTF-8 and is ignored.",))
    if not isinstance(content, dict):
        return LocalSettings({}, notices=(f"{FILE_NAME} does not hold a JSON object and is ignored.",))
    sections = cast(dict[str, Any], content)
    if sections.get("IsEncrypted") is True:
        raise LocalSettingsError(
            f'{FILE_NAME} says "IsEncrypted": true, and encrypted values can only be read where they were made. '
            'Run "func settings decrypt" there, or set "IsEncrypted": false and write plain values.'
        )
    return _read_sections(sections)


def apply_local_settings(
    local: LocalSettings, environment: MutableMapping[str, str], *, folder: Path, port: int
) -> list[str]:
    """Put the values into ``environment`` where nothing is set yet, and what the host itself sets.

    Returns a notice for each value that was skipped.
    """
    notices: list[str] = []
    for name, value in local.values.items():
        if name in environment:
            if environment[name] != value:
                notices.append(f"Skipping '{name}' from {FILE_NAME}: it is set in the environment already.")
        else:
            environment[name] = value
    environment.setdefault("WEBSITE_HOSTNAME", f"localhost:{port}")
    environment.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    environment.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    environment["AzureWebJobsScriptRoot"] = str(folder)
    return notices


def _read_sections(sections: dict[str, Any]) -> LocalSettings:
    notices: list[str] = []
    values: dict[str, str] = {}
    for name, value in _section(sections, "Values", notices).items():
        _add(values, name, value, notices)
    for name, value in _section(sections, "ConnectionStrings", notices).items():
        text: Any = cast(dict[str, Any], value).get("ConnectionString") if isinstance(value, dict) else value
        _add(values, f"ConnectionStrings:{name}" if name else "", text, notices)
    host = {name.lower(): value for name, value in _section(sections, "Host", notices).items()}
    port = host.get("localhttpport")
    if port is not None and (isinstance(port, bool) or not str(port).isdigit() or not 0 < int(port) < 65536):
        notices.append(f"Host.LocalHttpPort in {FILE_NAME} is {port!r}, which is not a port, and is ignored.")
        port = None
    return LocalSettings(
        values,
        http_port=None if port is None else int(port),
        http_address=_text_or_none(host.get("localhttpaddress")),
        cors=_text_or_none(host.get("cors")),
        cors_credentials=str(host.get("corscredentials", "")).lower() == "true",
        notices=tuple(notices),
    )


def _section(sections: dict[str, Any], name: str, notices: list[str]) -> dict[str, Any]:
    section = next((value for key, value in sections.items() if key.lower() == name.lower()), None)
    if section is None:
        return {}
    if not isinstance(section, dict):
        notices.append(f"{name} in {FILE_NAME} is not an object and is ignored.")
        return {}
    return cast(dict[str, Any], section)


def _add(values: dict[str, str], name: str, value: Any, notices: list[str]) -> None:
    if not name:
        notices.append(f"Skipping a setting without a name in {FILE_NAME}.")
    elif value is None:
        notices.append(f"Skipping '{name}' from {FILE_NAME}: its value is null.")
    elif isinstance(value, str):
        values[name] = value
    elif isinstance(value, bool | int | float):
        values[name] = json.dumps(value)
    else:
        notices.append(f"Skipping '{name}' from {FILE_NAME}: its value must be a text.")


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
