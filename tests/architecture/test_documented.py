"""Every command, option, route and setting stands in the reference."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from perdure.cli.main import perdure
from perdure.http_api.access import LEVELS

REPOSITORY = Path(__file__).resolve().parents[2]
INTERNAL_VARIABLES = {"PERDURE_LISTEN_FD"}


def reference(name: str) -> str:
    return (REPOSITORY / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command under its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def section(page: str, title: str) -> str:
    """The part of a page under a heading."""
    match = re.search(rf"^## .*`perdure {title}`.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert match, f"no section about 'perdure {title}'"
    return match[0]


@pytest.mark.parametrize(("name", "command"), list(commands(perdure)))
def test_a_command_and_its_options_are_documented(name, command):
    text = section(reference("commands"), name)
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]

    assert not [name for option in options for name in option.opts if f"`{name}" not in text]


@pytest.mark.parametrize(("method", "path"), LEVELS)
def test_a_route_is_documented(method, path):
    rows = [row for row in reference("http").splitlines() if row.startswith("| ") and f"| `{path}` |" in row]

    assert [row for row in rows if method in row.split("|")[1]]


def test_every_setting_of_host_json_is_documented():
    source = (REPOSITORY / "src" / "perdure" / "functions" / "host_json.py").read_text(encoding="utf-8")
    taken = set(re.findall(r'\.take\(\s*"(\w+)"', source))
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", reference("settings")))))

    assert len(taken) > 30
    assert not taken - documented


def test_every_variable_of_ours_is_documented():
    sources = [
        path.read_text(encoding="utf-8") for folder in ("src", "sdks") for path in (REPOSITORY / folder).rglob("*.py")
    ]
    ours = {name for text in sources for name in re.findall(r'"(PERDURE_[A-Z_]+)"', text)}

    assert not {name for name in ours - INTERNAL_VARIABLES if f"`{name}`" not in reference("settings")}


def test_links_between_pages_lead_somewhere():
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "samples").rglob("*.md")]
    broken = [
        (str(page.relative_to(REPOSITORY)), target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert not broken
