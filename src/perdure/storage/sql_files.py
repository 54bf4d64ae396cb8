"""Named statements out of .sql files, and scripts cut into statements."""

import sqlite3
from importlib.resources import files

_NAME = "-- name:"


def read_text(package: str, name: str) -> str:
    """A text file that lies in a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def named_statements(text: str) -> dict[str, str]:
    """``-- name: x`` begins statement x; comments before the first name are the file's own."""
    statements: dict[str, str] = {}
    for part in ("\n" + text).split("\n" + _NAME)[1:]:
        name, _, body = part.partition("\n")
        name = name.strip()
        if name in statements:
            raise ValueError(f"two statements are named '{name}'")
        lines = (line for line in body.splitlines() if not line.lstrip().startswith("--"))
        statements[name] = "\n".join(lines).strip().rstrip(";")
    return statements


def script_statements(text: str) -> list[str]:
    """A script's statements, one by one; triggers stay whole."""
    statements: list[str] = []
    rest = ""
    for line in text.splitlines(keepends=True):
        rest += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(rest):
            statements.append(rest.strip())
            rest = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in rest.splitlines()):
        raise ValueError("the script's last statement has no end")
    return statements
