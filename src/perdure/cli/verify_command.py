"""`perdure verify`: read a whole store and name what is damaged or stuck (reliability.md D10, X8)."""

import asyncio
from pathlib import Path

import click

from perdure.cli.exit_codes import FAILURE, STORE
from perdure.cli.output import fail, print_json
from perdure.contracts.errors import StorageError
from perdure.contracts.records import Finding
from perdure.host.system_clock import SystemClock
from perdure.storage.opening import open_storage
from perdure.storage.options import Access, StorageOptions


@click.command(context_settings={"help_option_names": ["-h", "--help", "-?"]})
@click.argument("app_dir", required=False, type=click.Path(path_type=Path))
@click.option("--store", help="Store URL.  [default: sqlite:.perdure/hub.db under APP_DIR]")
@click.option("--liveness", is_flag=True, help="Name also what is running and waits for nothing.")
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON.")
def verify(app_dir: Path | None, store: str | None, liveness: bool, as_json: bool) -> None:
    """Read a whole store; ends with exit code 1 when anything is damaged or stuck.

    The store must not be held by a running host.

    Example: perdure verify samples/hello_cities --liveness
    """
    url = store or f"sqlite:{(app_dir or Path.cwd()).resolve() / '.perdure' / 'hub.db'}"
    findings: list[Finding] = []

    async def read() -> None:
        storage = open_storage(url, SystemClock(), StorageOptions(access=Access.READ_ONLY))
        await storage.open()
        try:
            async for finding in storage.verify(liveness):
                findings.append(finding)
                if not as_json:
                    where = f" {finding.instance_id}" if finding.instance_id is not None else ""
                    click.echo(f"{finding.kind.value}{where}: {finding.what}")
        finally:
            await storage.close()

    try:
        asyncio.run(read())
    except StorageError as error:
        fail(str(error), STORE)
    if as_json:
        print_json([{"kind": f.kind.value, "instanceId": f.instance_id, "what": f.what} for f in findings])
    elif not findings:
        click.echo("The store is sound.")
    if findings:
        raise SystemExit(FAILURE)
