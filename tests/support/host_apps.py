"""Small Functions apps written for one test, and `perdure` run to its end."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from support.host_process import checkout_environment

HEAD = """\
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="start/{name}/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client):
    body = req.get_json() if req.get_body() else None
    instance_id = await client.start_new(req.route_params["name"], req.route_params["id"], body)
    return client.create_check_status_response(req, instance_id)


"""
"""An app with a starter for any orchestration: POST /api/start/{name}/{id}, the body is its input."""


def write_app(folder: Path, source: str, *, head: str = HEAD, host_json: str = '{"version": "2.0"}') -> Path:
    """Write ``function_app.py`` and ``host.json``; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function_app.py").write_text(head + dedent(source), encoding="utf-8")
    (folder / "host.json").write_text(host_json, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return self.err.strip().splitlines()


def run_perdure(
    *arguments: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    python: Path | str = sys.executable,
    limit: float = 30,
) -> Ended:
    """Run the command and wait for its end; fails when it takes longer than ``limit`` seconds."""
    ended = subprocess.run(
        [str(python), "-m", "perdure", *map(str, arguments)],
        cwd=cwd,
        env={**checkout_environment(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)
