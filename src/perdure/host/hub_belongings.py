"""What belongs to a hub and lies beside it: keys, and when timers ran. They go with it to another store."""

import logging
from pathlib import Path

from perdure.functions.timer_status import FileTimerStatuses, TimerStatus, TimerStatusStore, read_status
from perdure.host.key_store import key_store
from perdure.host.settings import Settings
from perdure.host.timer_notes import PREFIX, NotedTimerStatuses
from perdure.http_api.keys import KeyRing
from perdure.storage.opening import hub_server
from perdure.storage.places import ServerPlace

logger = logging.getLogger("perdure.host")


async def carry_belongings(source: Settings, target: Settings) -> None:
    """Bring them to where a host on the target looks for them; what is there stays. Raises as ``KeyStore``."""
    here, there = (key_store(end.hub, end.app_folder, end.app) for end in (source, target))
    ring = await here.read()
    if ring != KeyRing() and await there.read() == KeyRing():
        await there.save(ring)
    known = await _timers(source)
    kept = timer_statuses(target)
    for function, status in known.items():
        if await kept.read(function) is None:
            await kept.write(function, status)


def timer_statuses(settings: Settings) -> TimerStatusStore:
    """Where a host on this store keeps when its timers ran. Raises StoreUnusable."""
    place = settings.hub.place
    if isinstance(place, ServerPlace):
        return NotedTimerStatuses(hub_server(place).notes(settings.hub.name))
    return FileTimerStatuses(settings.app_folder / ".perdure", settings.hub_name)


async def _timers(settings: Settings) -> dict[str, TimerStatus]:
    place = settings.hub.place
    if isinstance(place, ServerPlace):
        notes = await hub_server(place).notes(settings.hub.name).read(PREFIX)
        return _readable({name.removeprefix(PREFIX): text for name, text in notes.items()})
    return _readable(_texts_in(settings.app_folder / ".perdure" / "timers" / settings.hub_name.lower()))


def _texts_in(folder: Path) -> dict[str, str]:
    return {file.stem: file.read_text("utf-8") for file in sorted(folder.glob("*.json"))}


def _readable(texts: dict[str, str]) -> dict[str, TimerStatus]:
    found: dict[str, TimerStatus] = {}
    for function, text in texts.items():
        try:
            found[function] = read_status(text)
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("The status of timer '%s' cannot be read and is left behind: %s", function, error)
    return found
