"""`perdure hub copy`: a hub with its running instances from one store to another."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perdure.cli.durable.options import json_option
from perdure.cli.exit_codes import FAILURE, STORE, USAGE
from perdure.cli.grammar import ForgivingCommand
from perdure.cli.output import fail, print_json, progress_bar
from perdure.cli.reaching import HubOptions, settings_of
from perdure.cli.tables import table

if TYPE_CHECKING:
    from perdure.contracts.records import Finding
    from perdure.host.settings import Settings
    from perdure.storage.copying.copy import Copied


@click.command("copy", cls=ForgivingCommand)
@click.argument("source")
@click.argument("target")
@click.option("--source-hub", help="The hub at SOURCE, where that may hold several.  [default: as the app's host]")
@click.option("--target-hub", help="The hub at TARGET, where that may hold several.  [default: as the app's host]")
@click.option("--partitions", type=click.IntRange(1, 1024), help="Of a hub that is made on PostgreSQL.  [default: 32]")
@click.option("--script-root", type=click.Path(path_type=Path), help="The app's folder.  [default: here]")
@json_option
def copy(
    source: str,
    target: str,
    source_hub: str | None,
    target_hub: str | None,
    partitions: int | None,
    script_root: Path | None,
    as_json: bool,
) -> None:
    """Copy a hub, what runs in it included.

    SOURCE and TARGET are store URLs. No host may be working on the source, and nothing may be at the target. What is
    broken off goes on when the command is given again.

    Example: perdure hub copy sqlite:.perdure/hub.db postgresql://app@db/shop
    """
    options = HubOptions(script_root=script_root)
    ends = _End(options, source, source_hub), _End(options, target, target_hub)
    if ends[0].is_same_as(ends[1]):
        fail("SOURCE and TARGET are the same hub.", USAGE)
    with progress_bar("Copying") as show:
        copied = _done(lambda: asyncio.run(_copy(*ends, partitions, show)))
    findings = _done(lambda: asyncio.run(ends[1].findings()))
    _show(copied, findings, ends, as_json=as_json)
    if findings:
        raise SystemExit(FAILURE)


class _End:
    """One end, as the app's host would have it on that store."""

    def __init__(self, options: HubOptions, url: str, hub: str | None) -> None:
        settings = settings_of(replace(options, store=url))
        if hub is not None:
            settings = replace(settings, hub_name=hub, hub=replace(settings.hub, name=hub))
        self.settings: Settings = settings
        self.place = _done(lambda: settings.hub.place)

    def is_same_as(self, other: "_End") -> bool:
        """Whether both are one hub, as far as their URLs tell."""
        from perdure.storage.places import ServerPlace

        if self.place != other.place:
            return False
        return not isinstance(self.place, ServerPlace) or self.hub.lower() == other.hub.lower()

    @property
    def hub(self) -> str:
        return self.settings.hub.name

    async def findings(self) -> "list[Finding]":
        """What `perdure verify` would find there."""
        from perdure.storage.opening import open_storage
        from perdure.storage.options import Access, StorageOptions
        from perdure.storage.system_clock import SystemClock

        url = self.settings.hub.store_url
        storage = open_storage(url, SystemClock(), StorageOptions(access=Access.READ_ONLY), hub=self.hub)
        await storage.open()
        try:
            return [finding async for finding in storage.verify(False)]
        finally:
            await storage.close()


async def _copy(source: _End, target: _End, partitions: int | None, show: Callable[[int, int], None]) -> "Copied":
    from perdure.host.hub_belongings import carry_belongings
    from perdure.storage.copying.copy import copy_hub
    from perdure.storage.copying.ends import source_at, target_at

    here, there = source_at(source.place, source.hub), target_at(target.place, target.hub, partitions)
    copied = await copy_hub(here, there, show)
    await carry_belongings(source.settings, target.settings)
    return copied


def _done(step: Callable[[], Any]) -> Any:
    from perdure.contracts.errors import StorageError
    from perdure.host.key_files import KeyFilesError

    try:
        return step()
    except StorageError as error:
        fail(str(error), STORE)
    except KeyFilesError as error:
        fail(f"The hub is copied, but its keys are not: {error}", FAILURE)


def _show(copied: "Copied", findings: "list[Finding]", ends: tuple[_End, _End], *, as_json: bool) -> None:
    counts = [
        {
            "instances": side.instances,
            "episodes": side.episodes,
            "activities": side.activities,
            "messages": side.messages,
        }
        for side in (copied.source, copied.target)
    ]
    rows = [{"kind": f.kind.value, "instanceId": f.instance_id, "what": f.what} for f in findings]
    if as_json:
        source, target = ({"store": end.place.shown, "taskHub": end.hub} for end in ends)
        print_json(
            {"source": source | counts[0], "target": target | counts[1], "resumed": copied.resumed, "findings": rows}
        )
        return
    click.echo(table(("", *counts[0]), [("source", *counts[0].values()), ("target", *counts[1].values())]))
    for row in rows:
        click.echo(f"{row['kind']} {row['instanceId'] or ''}: {row['what']}")
    if not rows:
        click.echo(
            "The copy is sound. Start hosts with TARGET as --store or PERDURE_STORE, and none on SOURCE any more."
        )
