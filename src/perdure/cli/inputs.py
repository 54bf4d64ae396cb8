"""Payloads given on the command line: inline text or ``@file`` (cli.md §2.1)."""

import json
from pathlib import Path
from typing import NoReturn

from perdure.cli.exit_codes import USAGE
from perdure.cli.output import fail


def payload_text(given: str | None, option: str) -> str | None:
    """JSON text: of the file that ``@path`` names, of inline JSON, else of the inline text as a string.

    Ends the command with exit code 2 for a file that is not there or not JSON.
    """
    if given is None:
        return None
    if given.startswith("@"):
        return _file_text(Path(given[1:]), option)
    return given if _is_json(given) else json.dumps(given)


def _file_text(path: Path, option: str) -> str:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        fail(f"{option}: {path} cannot be read: {error.strerror}.", USAGE)
    except UnicodeDecodeError as error:
        fail(f"{option}: {path} is not UTF-8 (at byte {error.start}).", USAGE)
    try:
        json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        fail(f"{option}: {path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.", USAGE)
    except (ValueError, RecursionError) as error:
        fail(f"{option}: {path} is not valid JSON: {error}.", USAGE)
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
