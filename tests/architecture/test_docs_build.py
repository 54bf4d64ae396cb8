"""The pages: links and anchors lead somewhere, code compiles, marked apps run, commands parse, no page is lost."""

import ast
import json
import logging
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from azure import durable_functions as df
from durabletask.azuremanaged import DurableTaskSchedulerClient, DurableTaskSchedulerWorker
from durabletask.client import TaskHubGrpcClient
from perdure.cli.main import perdure
from support.host_process import REPOSITORY, HostProcess, checkout_environment

DOCS = REPOSITORY / "docs"
START = DOCS / "README.md"
PAGES = sorted([REPOSITORY / "README.md", *DOCS.rglob("*.md"), *(REPOSITORY / "samples").rglob("*.md")])
APP_MARK = re.compile(r"<!-- (?:run|portable|prints): (\{.*\}) -->")
IN_MEMORY = "Endpoint=embedded://documented;TaskHub=pages"
PROMPT = re.compile(r"^\$ (?:\S*/)?(?=perdure )")
COMMAND_IN_TEXT = re.compile(
    r"perdure (?:start|serve|run|token|durable|hub|keys|settings|templates|init|new|info|verify|backup)\b"
)


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Block:
    """A fenced block and what its page says right before it."""

    page: Path
    line: int
    language: str
    text: str
    mark: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def blocks(*languages: str) -> Iterator[Block]:
    for page in PAGES:
        before = ""
        for token in tokens(page):
            if token.type == "fence" and token.info.strip() in languages:
                assert token.map is not None
                mark = APP_MARK.fullmatch(before.strip())
                known = None if mark is None else json.loads(mark[1])
                yield Block(page, token.map[0] + 1, token.info.strip(), token.content, known)
            if token.level == 0:
                before = token.content if token.type == "html_block" else ""


def inline(page: Path, kind: str) -> Iterator[Token]:
    for token in tokens(page):
        yield from (child for child in token.children or () if child.type == kind)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to a page's headings."""
    seen: Counter[str] = Counter()
    found: set[str] = set()
    stream = tokens(page)
    for position, token in enumerate(stream):
        if token.type == "heading_open":
            parts = stream[position + 1].children or ()
            text = "".join(part.content for part in parts if part.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
            seen[slug] += 1
    return frozenset(found)


def links(page: Path) -> Iterator[str]:
    yield from (str(token.attrs["href"]) for token in inline(page, "link_open"))
    yield from (str(token.attrs["src"]) for token in inline(page, "image"))


def inside(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Links that stay in the repository: as written, the file, the anchor."""
    for target in links(page):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield target, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_lead_somewhere(page):
    broken = [
        target
        for target, file, anchor in inside(page)
        if not file.exists() or (anchor and (file.suffix != ".md" or anchor not in anchors(file)))
    ]

    assert not broken


def test_every_page_is_reached_from_the_table_of_contents():
    reached, open_pages = {START}, [START]
    while open_pages:
        for _, file, _ in inside(open_pages.pop()):
            if file.suffix == ".md" and file not in reached and file.is_relative_to(DOCS) and file.exists():
                reached.add(file)
                open_pages.append(file)

    assert not {name_of(page) for page in DOCS.rglob("*.md")} - {name_of(page) for page in reached}


@pytest.mark.parametrize("block", list(blocks("python")), ids=str)
def test_python_compiles_and_names_what_there_is(block):
    tree = compile(block.text, str(block), "exec", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    compile(block.text, str(block), "exec", dont_inherit=True)

    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_df(node.value)}
    assert not {name for name in used if not hasattr(df, name)}


def _is_df(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "df"


@pytest.mark.parametrize("block", list(blocks("json")), ids=str)
def test_json_can_be_read(block):
    json.loads(block.text)


def marked(key: str) -> list[Block]:
    """The blocks whose mark says this."""
    return [block for block in blocks("python") if block.mark is not None and key in block.mark]


@pytest.mark.parametrize("block", marked("orchestrator"), ids=str)
def test_a_marked_app_runs(block, tmp_path):
    assert block.mark is not None
    (tmp_path / "function_app.py").write_text(block.text, encoding="utf-8")
    (tmp_path / "host.json").write_text('{"version": "2.0"}', encoding="utf-8")

    with HostProcess(tmp_path, "--store", "memory:") as host:
        answer = host.http.post(
            f"/runtime/webhooks/durabletask/orchestrators/{block.mark['orchestrator']}",
            params={"timeout": "20", "pollingInterval": "0.05"},
            json=block.mark["input"],
        )

    assert answer.status_code == 200, answer.text
    assert answer.json() == block.mark["output"]


@pytest.fixture(scope="module")
def portable_client() -> Iterator[TaskHubGrpcClient]:
    with DurableTaskSchedulerClient(IN_MEMORY, mode="sync", log_handler=logging.NullHandler()) as client:
        yield client


@pytest.mark.parametrize("block", marked("orchestration"), ids=str)
def test_marked_portable_functions_run(block, portable_client, monkeypatch):
    assert block.mark is not None
    module = ModuleType(f"documented_{block.page.stem}_{block.line}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(block.text, str(block), "exec"), vars(module))
    worker = DurableTaskSchedulerWorker(IN_MEMORY, log_handler=logging.NullHandler())
    worker.add_all(module)

    with worker:
        worker.start()
        instance_id = portable_client.schedule_new_orchestration(block.mark["orchestration"], input=block.mark["input"])
        state = portable_client.wait_for_orchestration_completion(instance_id, timeout=20)

    assert state is not None
    assert (str(state.runtime_status), state.result) == ("COMPLETED", block.mark["output"]), state.failure_details


@pytest.mark.parametrize("block", marked("lines"), ids=str)
def test_a_marked_program_prints_what_its_page_says(block, tmp_path):
    assert block.mark is not None
    (tmp_path / "app.py").write_text(block.text, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, env=checkout_environment(), capture_output=True, text=True, timeout=60
    )

    assert (ended.returncode, ended.stdout.splitlines()) == (0, block.mark["lines"]), ended.stderr


def prompted() -> Iterator[tuple[str, str]]:
    """Where a line to type stands, and the line."""
    for block in blocks("console"):
        for number, line in enumerate(block.text.splitlines()):
            found = PROMPT.match(line)
            if found:
                yield f"{name_of(block.page)}:{block.line + number + 1}", line[found.end() :]


def mentioned() -> Iterator[tuple[str, str]]:
    """Where a page speaks of a command, perhaps without its arguments, and the words."""
    for page in PAGES:
        for token in inline(page, "code_inline"):
            if COMMAND_IN_TEXT.match(token.content):
                yield f"{name_of(page)}: {token.content}", token.content


def resolved(line: str) -> tuple[click.Context, click.Command, list[str]]:
    """The command that a line calls, and the words that are left for it. Raises UsageError."""
    command: click.Command = perdure
    words = shlex.split(line, comments=True)[1:]
    context = click.Context(perdure, info_name="perdure")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
    return context, command, words


@pytest.mark.parametrize(("place", "line"), list(prompted()), ids=[place for place, _ in prompted()])
def test_a_command_parses(place, line, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    context, command, words = resolved(line)

    command.make_context(context.info_name, words, parent=context.parent, resilient_parsing=not words)


def test_commands_in_the_text_have_the_options_that_it_names():
    unknown: list[str] = []
    for place, line in mentioned():
        _, command, words = resolved(line)
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        known |= {"--help", "-h", "-?"}
        unknown += [
            f"{place}: {word}" for word in words if word.startswith("-") and word.partition("=")[0] not in known
        ]

    assert not unknown
