"""`perdure serve`: the scheduler server for workers and clients of any language (cli.md §8)."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perdure.cli.exit_codes import FAILURE, USAGE
from perdure.cli.grammar import CONTEXT, ForgivingCommand
from perdure.cli.output import fail, print_error

if TYPE_CHECKING:
    from perdure.host.serve_options import ServeOptions
    from perdure.host.serving import SchedulerServer

_PORT = click.IntRange(1, 65535)
_LEVELS = ["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None"]
_PACKAGES_MISSING = "perdure serve needs protobuf: pip install 'perdure[grpc]'"


@click.command("serve", cls=ForgivingCommand, context_settings=CONTEXT)
@click.option("--grpc-port", type=_PORT, envvar="PERDURE_GRPC_PORT", help="Port for gRPC.  [default: 8080]")
@click.option("--http-port", type=_PORT, envvar="PERDURE_HTTP_PORT", help="Port for HTTP, /health.  [default: 8082]")
@click.option("--sidecar-port", type=_PORT, help="A second port for gRPC; SDKs without an address look at 4001.")
@click.option("--host", "--address", "address", envvar="PERDURE_HOST", help="IP address.  [default: 127.0.0.1]")
@click.option("--store", help="Store: a file or a URL.  [default: .perdure/hub.db]")
@click.option("--memory", is_flag=True, help="Keep nothing: all is gone when the server stops.")
@click.option("--durability", type=click.Choice(["full", "relaxed"]), help="What a power cut may cost.")
@click.option("--hubs", help="Task hubs, with commas between; the first is the default one.  [default: default]")
@click.option("--auto-create-hubs", is_flag=True, help="Make a task hub when somebody names one that is not there.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="The server's certificate, PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its key, PEM.")
@click.option(
    "--tls-ca", type=click.Path(path_type=Path), help="Callers must have a certificate signed by one of these."
)
@click.option("--auth", is_flag=True, help="Ask callers for a token (perdure token create).")
@click.option("--token-file", type=click.Path(path_type=Path), help="The tokens.  [default: beside the store]")
@click.option("--insecure", is_flag=True, help="Let other machines in without TLS or tokens.")
@click.option("--receive-mib-max", type=click.IntRange(4, 2047), help="Largest message taken, in MiB.  [default: 64]")
@click.option("--item-mib-max", type=click.IntRange(4, 2047), help="Largest message to workers, in MiB.  [default: 4]")
@click.option("--payload-mib-max", type=click.IntRange(1, 1024), help="Largest payload, in MiB.  [default: 16]")
@click.option(
    "--connections-max", type=click.IntRange(1, 1_000_000), help="gRPC connections at once.  [default: 10000]"
)
@click.option("--reuse-ids", type=click.Choice(["never", "finished"]), help="Instances whose id may be started anew.")
@click.option("--log-level", type=click.Choice(_LEVELS, case_sensitive=False), help="Least level of log lines.")
@click.option("--verbose", is_flag=True, help="More log lines.")
@click.option("--debug", is_flag=True, help="Full stack traces of the tool's own errors.")
def serve(**given: Any) -> None:
    """Serve task hubs to workers of any language.

    It stands in the place of the scheduler's emulator, and keeps what it is given.

    Example: perdure serve --grpc-port 8080 --hubs default,orders
    """
    from perdure.host.options import StartFailed

    try:
        options = _options(given)
    except StartFailed as error:
        fail(str(error), error.code)
    _configure_log(given["log_level"], verbose=given["verbose"])
    try:
        import google.protobuf  # noqa: F401 - asked for here, so that one line says what is missing
    except ImportError:
        fail(_PACKAGES_MISSING, FAILURE)
    raise SystemExit(_run(options, debug=given["debug"]))


def _options(given: dict[str, Any]) -> "ServeOptions":
    from perdure.host.lease_setting import LEASE_SETTING, lease_seconds_of
    from perdure.host.options import StartFailed
    from perdure.host.serve_options import (
        ADDRESS,
        CONNECTIONS_MAX,
        GRPC_PORT,
        HTTP_PORT,
        MEBIBYTE,
        REUSED_IDS,
        ServeOptions,
        check_exposure,
        grace_of,
        hub_names_of,
        is_loopback,
        store_url_of,
        tls_files_of,
        token_file_of,
    )
    from perdure.storage.options import Durability

    environment = os.environ
    address = given["address"] or ADDRESS
    store_url = store_url_of(given["store"], environment, in_memory=given["memory"])
    durability = given["durability"] or environment.get("PERDURE_DURABILITY") or "full"
    if durability not in ("full", "relaxed"):
        raise StartFailed(f"PERDURE_DURABILITY is full or relaxed, not '{durability}'.", USAGE)
    options = ServeOptions(
        address="127.0.0.1" if address.lower() == "localhost" else address,
        grpc_port=given["grpc_port"] or GRPC_PORT,
        http_port=given["http_port"] or HTTP_PORT,
        sidecar_port=given["sidecar_port"],
        store_url=store_url,
        hubs=hub_names_of(given["hubs"], environment),
        creates_hubs=given["auto_create_hubs"],
        durability=Durability(durability),
        tls=tls_files_of(given["tls_cert"], given["tls_key"], given["tls_ca"]),
        # Where others reach it tokens are asked for, unless the user says that nobody need be.
        asks_tokens=given["auth"] or not (is_loopback(address) or given["insecure"]),
        token_file=token_file_of(given["token_file"], store_url),
        receive_bytes_max=(given["receive_mib_max"] or 64) * MEBIBYTE,
        item_bytes_max=(given["item_mib_max"] or 4) * MEBIBYTE,
        payload_bytes_max=(given["payload_mib_max"] or 16) * MEBIBYTE,
        connections_max=given["connections_max"] or CONNECTIONS_MAX,
        replaceable=REUSED_IDS[given["reuse_ids"] or "never"],
        grace_seconds=grace_of(environment),
        lease_seconds=lease_seconds_of(environment.get(LEASE_SETTING)),
    )
    check_exposure(options, is_insecure=given["insecure"])
    return options


def _configure_log(level: str | None, *, verbose: bool) -> None:
    from perdure.functions.logging_setup import LogLevels, configure_logging

    said = level or os.environ.get("PERDURE_LOG_LEVEL") or os.environ.get("DTS_EMULATOR_LOG_LEVEL")
    known = {name.lower(): name for name in _LEVELS} | {"info": "Information", "warn": "Warning"}
    chosen = known.get((said or "").lower())
    if said and chosen is None:
        print_error(f"Note: '{said}' is no log level ({', '.join(_LEVELS)}); the default is used.")
    system = chosen or ("Information" if verbose else "Warning")
    configure_logging(LogLevels(system=system, user=system))


def _run(options: "ServeOptions", *, debug: bool) -> int:
    import asyncio
    import traceback

    from perdure.host.options import StartFailed
    from perdure.host.running_process import exit_on_signals
    from perdure.host.serving import Announcements, run_server

    exit_on_signals()
    main = run_server(options, Announcements(_say_ready, click.echo))
    try:
        try:
            import uvloop
        except ImportError:
            return asyncio.run(main)
        return uvloop.run(main)
    except StartFailed as error:
        fail(str(error), error.code)
    except Exception as error:
        if debug:
            traceback.print_exc()
        fail(f"The server ended with an error: {type(error).__name__}: {error} (more with --debug)", FAILURE)


def _say_ready(server: "SchedulerServer") -> None:
    from perdure import __version__

    options = server.options
    python = ".".join(str(n) for n in sys.version_info[:3])
    click.echo(f"perdure {__version__}   (Python {python})")
    for line in server.describe_hubs():
        click.echo(f"Task hub: {line}")
    click.echo(f"gRPC:     {', '.join(server.addresses())}")
    click.echo(f"HTTP:     {server.http_url}  (/health)")
    click.echo(f"Access:   {_access(options)}")
    if options.asks_tokens and server.tokens is not None and not server.tokens.read():
        print_error(f"Note: there is no token in {options.token_file}. Make one: perdure token create --role admin")
    if server.connections_max < options.connections_max:
        print_error(
            f"Note: this process may not open enough files for {options.connections_max} gRPC connections; it takes "
            f"{server.connections_max}. To allow more: ulimit -n (LimitNOFILE= in a systemd unit)."
        )
    if options.store_url == "memory:":
        print_error("Note: --memory keeps nothing; all is gone when the server stops.")
    authentication = "Token;TokenFile=FILE" if options.asks_tokens else "None"
    click.echo(f"Connect:  Endpoint={server.addresses()[0]};TaskHub={options.hubs[0]};Authentication={authentication}")
    click.echo("Ctrl+C stops.\n")
    sys.stdout.flush()


def _access(options: "ServeOptions") -> str:
    tls = "cleartext" if options.tls is None else "TLS"
    who = "callers show a token" if options.asks_tokens else "everybody who reaches the port may do everything"
    return f"{who}; {tls}; {'this machine only' if options.is_local else f'listening on {options.address}'}"
