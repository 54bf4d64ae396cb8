"""`perdure start`: run the Functions host on an app (cli.md §3)."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import click

from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand
from perdure.cli.output import fail

_LEVELS = ["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None"]


@click.command("start", cls=ForgivingCommand, context_settings=CONTEXT)
@click.argument("app_dir", required=False, type=click.Path(path_type=Path))
@click.option("--script-root", type=click.Path(path_type=Path), help="The app's folder, as APP_DIR.")
@click.option("-p", "--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 7071]")
@click.option("--host", "--address", "address", help="IP address to listen on.  [default: 127.0.0.1]")
@click.option("--store", help="Store URL: sqlite:PATH, postgresql://…  [default: .perdure/hub.db under the app]")
@click.option("--durability", type=click.Choice(["full", "relaxed"]), help="What a power cut may cost.")
@click.option("--functions", multiple=True, help="Run only these functions (repeat, or separate by spaces).")
@click.option("--reload", is_flag=True, help="Restart when the app's sources change.")
@click.option("--grpc-port", type=click.IntRange(1, 65535), help="Let workers of other processes and languages in.")
@click.option("--sdk", type=click.Choice(["ours", "installed"]), help="Which SDK runs the app.  [default: ours]")
@click.option(
    "-t", "--timeout", type=click.FloatRange(min=0.1), help="Give up when it is not ready in so many seconds."
)
@click.option("--debug-port", type=click.IntRange(1, 65535), help="Listen for a debugger (needs debugpy).")
@click.option("--wait-for-debugger", is_flag=True, help="Import the app when a debugger is attached.")
@click.option("--language-worker", help="As the Azure extension says it: -m debugpy --listen HOST:PORT")
@click.option("--enable-json-output", is_flag=True, help="Log lines as JSON, one object a line.")
@click.option("--json-output-file", type=click.Path(path_type=Path), help="Log lines as JSON to this file too.")
@click.option("--user-log-level", type=click.Choice(_LEVELS, case_sensitive=False), help="Least level of user logs.")
@click.option("--enableAuth", "--enable-auth", "enable_auth", is_flag=True, help="Check keys on loopback too.")
@click.option("--no-auth", is_flag=True, help="No keys, also where other machines can reach the port.")
@click.option("--useHttps", "--use-https", "use_https", is_flag=True, help="Serve HTTPS.")
@click.option("--cert", type=click.Path(path_type=Path), help="Certificate with its key, PEM or PFX.  [default: made]")
@click.option("--password", help="The password of --cert, or a file that holds it.")
@click.option("--cors", help="Origins whose pages may call, separated by commas.")
@click.option("--cors-credentials", is_flag=True, help="Those pages may send credentials.")
@click.option("--allowed-hosts", help="Host headers to accept, separated by commas.")
@click.option("--verbose", is_flag=True, help="More log lines.")
@click.option("--debug", is_flag=True, help="Full stack traces of the tool's own errors.")
@click.option("--no-build", is_flag=True, hidden=True)
@click.option("--runtime", hidden=True)
@click.option("--dotnet-isolated-debug", is_flag=True, hidden=True)
@click.option("--check", is_flag=True, hidden=True, help="Load the app, then end.")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def start(**given: Any) -> None:
    """Run the app in APP_DIR (default: this folder).

    Example: perdure start samples/hello_cities --port 7071
    """
    from perdure.host.options import HttpsOptions, Sdk, StartOptions

    for name in ("runtime", "dotnet_isolated_debug"):
        if given[name]:
            fail(f"--{name.replace('_', '-')} chooses among .NET hosts; perdure runs Python apps and has one.", USAGE)
    functions = [name for part in given["functions"] for name in part.split()]
    app_folder: Path | None = given["script_root"] or given["app_dir"]
    if functions:
        # Core Tools' users write them one after another: `--functions A B`.
        functions += given["rest"]
        if app_folder is not None and not app_folder.is_dir():
            functions.append(str(app_folder))
            app_folder = None
    elif given["rest"]:
        fail(f"There is one APP_DIR; '{given['rest'][0]}' is too much.", USAGE)
    if (given["cert"] or given["password"]) and not given["use_https"]:
        fail("--cert and --password belong to --useHttps.", USAGE)
    if given["enable_auth"] and given["no_auth"]:
        fail("--enableAuth and --no-auth say the opposite; keep one.", USAGE)
    options = StartOptions(
        app_folder=app_folder or Path.cwd(),
        port=given["port"],
        address=given["address"],
        store=given["store"],
        functions=tuple(functions) or None,
        user_log_level=given["user_log_level"],
        verbose=given["verbose"],
        no_auth=given["no_auth"],
        enable_auth=given["enable_auth"],
        https=HttpsOptions(given["cert"], given["password"]) if given["use_https"] else None,
        cors=given["cors"],
        cors_credentials=given["cors_credentials"],
        allowed_hosts=tuple(h.strip() for h in (given["allowed_hosts"] or "").split(",") if h.strip()),
        durability=given["durability"],
        sdk=None if given["sdk"] is None else Sdk(given["sdk"]),
        grpc_port=given["grpc_port"],
    )
    _use_the_apps_interpreter(options.app_folder)
    # What is imported stays: collections would look at all of it a dozen times and find nothing.
    gc.disable()
    from perdure.cli.running import RunOptions, check_app, run_app, run_reloading

    gc.freeze()
    gc.enable()
    if given["check"]:
        raise SystemExit(check_app(options))
    if given["reload"]:
        raise SystemExit(run_reloading(options))
    run = RunOptions(
        debug=given["debug"],
        debug_port=given["debug_port"],
        waits_for_debugger=given["wait_for_debugger"],
        worker_arguments=given["language_worker"],
        has_json_output=given["enable_json_output"],
        json_file=given["json_output_file"],
        start_seconds_max=given["timeout"],
    )
    raise SystemExit(run_app(options, run))


def _use_the_apps_interpreter(app_folder: Path) -> None:
    from perdure.host.interpreter import PerdureMissing, interpreter_for, restart_in

    try:
        python = interpreter_for(app_folder.resolve(), os.environ)
    except PerdureMissing as error:
        fail(str(error), FAILURE)
    if python is not None:
        restart_in(python, sys.argv[1:])
