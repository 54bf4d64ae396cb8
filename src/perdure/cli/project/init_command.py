"""`perdure init`: the files of a new app (cli.md §4)."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand
from perdure.cli.output import fail
from perdure.cli.project import files
from perdure.cli.project.jsonc import NotJsonc
from perdure.cli.project.vscode import changes, recommend
from perdure.cli.project.written import Written

_PYTHON = frozenset({"python", "py"})


@dataclass(frozen=True, slots=True)
class Project:
    """What to write. ``channel`` None: no extension bundle."""

    model: str = "v2"
    is_durable: bool = False
    channel: str | None = "ga"
    has_docs: bool = True
    has_docker: bool = False
    overwrites: bool = False


@click.command("init", cls=ForgivingCommand, context_settings=CONTEXT)
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--worker-runtime", help="python; there is no other here.")
@click.option("-l", "--language", help="python; there is no other here.")
@click.option("-m", "--model", type=click.Choice(["v1", "v2"]), default="v2", show_default=True,
              help="v2: decorators; v1: a folder with a function.json for each function.")  # fmt: skip
@click.option("--template", type=click.Choice(["durable"]), help="durable: begin with a running orchestration.")
@click.option("--vscode", is_flag=True, help="F5 in VS Code runs the app; the entries that are there stay.")
@click.option("--source-control", is_flag=True, help="Make a git repository of it.")
@click.option("--docker", is_flag=True, help="A Dockerfile too.")
@click.option("--docker-only", is_flag=True, help="Only a Dockerfile.")
@click.option("--no-bundle", is_flag=True, help="host.json names no extension bundle.")
@click.option("-c", "--bundles-channel", type=click.Choice(["GA", "Preview", "Experimental"], case_sensitive=False),
              default="GA", show_default=True, help="Which extension bundle.")  # fmt: skip
@click.option("--no-docs", is_flag=True, help="No getting_started.md (v1).")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def init(folder: Path | None, as_json: bool, **given: Any) -> None:
    """Write the files of a new app into FOLDER (default: this one).

    Example: perdure init shop --template durable --vscode
    """
    for option in ("worker_runtime", "language"):
        if given[option] is not None and given[option].lower() not in _PYTHON:
            fail(f"--{option.replace('_', '-')}: perdure runs Python apps, not '{given[option]}'.", USAGE)
    if given["template"] == "durable" and given["model"] == "v1":
        fail("--template durable is an app of the v2 model; with v1 say: perdure new --template NAME.", USAGE)
    project = Project(
        model=given["model"],
        is_durable=given["template"] == "durable",
        channel=None if given["no_bundle"] else given["bundles_channel"].lower(),
        has_docs=not given["no_docs"],
        has_docker=given["docker"] or given["docker_only"],
        overwrites=given["force"],
    )
    done = Written((folder or Path()).absolute())
    try:
        done.root.mkdir(parents=True, exist_ok=True)
        if given["docker_only"]:
            _write_files(done, _docker_files(), project)
        else:
            write_project(done, project)
        if given["vscode"]:
            _write_vscode(done)
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}.", FAILURE)
    if given["source_control"]:
        _begin_repository(done)
    done.tell(as_json=as_json)


def write_project(done: Written, project: Project) -> None:
    """Write what is not there. Raises OSError."""
    _write_files(done, _project_files(done.root, project), project)
    _extend(done, ".vscode/extensions.json", recommend)


def _project_files(root: Path, project: Project) -> dict[str, str]:
    wanted = {
        "requirements.txt": files.REQUIREMENTS,
        "host.json": files.host_json(project.channel),
        "local.settings.json": files.local_settings(),
        ".gitignore": files.GITIGNORE,
        ".funcignore": _funcignore(root),
    }
    if project.model == "v2":
        wanted = {"function_app.py": files.DURABLE_APP if project.is_durable else files.FUNCTION_APP, **wanted}
    elif project.has_docs:
        wanted["getting_started.md"] = files.GETTING_STARTED
    return {**wanted, **(_docker_files() if project.has_docker else {})}


def _docker_files() -> dict[str, str]:
    return {"Dockerfile": files.DOCKERFILE, ".dockerignore": files.DOCKERIGNORE}


def _funcignore(root: Path) -> str:
    environments = sorted(found.parent.name for found in root.glob("*/pyvenv.cfg"))
    return "".join(f"{line}\n" for line in dict.fromkeys((*files.FUNCIGNORE, *environments)))


def _write_files(done: Written, wanted: dict[str, str], project: Project) -> None:
    for name, text in wanted.items():
        done.keep(name, text, overwrites=project.overwrites)


def _write_vscode(done: Written) -> None:
    from perdure.sdks import sdk_folder

    for name, change in changes(sdk_folder()).items():
        _extend(done, f".vscode/{name}", change)


def _extend(done: Written, name: str, change: Callable[[str], str]) -> None:
    place = done.root / name
    before = place.read_text("utf-8") if place.exists() else ""
    try:
        after = change(before)
    except NotJsonc as error:
        fail(f"{place} is left as it is, it cannot be read: {error}.", FAILURE)
    if after == before:
        done.skip(name, "has what it needs")
    elif before:
        done.extend(name, after)
    else:
        done.put(name, after)


def _begin_repository(done: Written) -> None:
    if (done.root / ".git").exists():
        return
    try:
        subprocess.run(["git", "init", "--quiet"], cwd=done.root, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        fail(f"--source-control: git init failed in {done.root}: {error}.", FAILURE)
    done.lines.append("Began a git repository")
