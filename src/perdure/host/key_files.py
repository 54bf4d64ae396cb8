"""The key ring on disk: ``host.json`` and one ``{function}.json`` in a folder beside the store (functions-host.md §8).

Files have mode 0600 and are replaced whole; a symbolic link is refused, and so is a file that others may read.
"""

import json
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

from perdure.functions.app_settings import AppSettings
from perdure.http_api.keys import MASTER, KeyRing, Keys

FOLDER_SETTING = "FUNCTIONS_SECRETS_PATH"
HOST_FILE = "host.json"
FILE_MODE, FOLDER_MODE = 0o600, 0o700
FILE_BYTES_MAX = 1_000_000
_FUNCTION_FILE = re.compile(r"([a-z][a-z0-9_\-]{0,127})\.json")
_SETTLED_SECONDS = 1.0
"""A folder's time stamp is coarse: one that is younger than this may stand for two changes."""


class KeyFilesError(Exception):
    """The keys cannot be read or kept; the message says which file and what to do."""


def key_folder(store_url: str, app_folder: Path, settings: AppSettings) -> Path:
    """Where the keys of a store are kept."""
    said = settings.get(FOLDER_SETTING)
    if said:
        return app_folder / said
    scheme, _, path = store_url.partition(":")
    if scheme == "sqlite" and path:
        return Path(f"{path.removeprefix('///') if path.startswith('///') else path}.keys").absolute()
    return app_folder / ".perdure" / "keys"


class KeyFiles:
    """The ring as it is on disk; what others change there is seen by the next ``ring``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ring = KeyRing()
        self._stamp: int | None = None
        self._on_change: list[Callable[[KeyRing], None]] = []

    def watch(self, changed: Callable[[KeyRing], None]) -> None:
        """Call ``changed`` with each new ring, as soon as it is noticed."""
        self._on_change.append(changed)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    def ring(self) -> KeyRing:
        """The keys of this moment; empty when there are none. Raises KeyFilesError."""
        try:
            found = os.stat(self._folder, follow_symlinks=False)
        except FileNotFoundError:
            self._take(KeyRing(), None)
            return self._ring
        if found.st_mtime_ns != self._stamp:
            settled = time.time() - found.st_mtime > _SETTLED_SECONDS
            self._take(self._read(found), found.st_mtime_ns if settled else None)
        return self._ring

    def _take(self, ring: KeyRing, stamp: int | None) -> None:
        self._stamp = stamp
        if ring != self._ring:
            self._ring = ring
            for changed in self._on_change:
                changed(ring)

    def complete(self, function_names: Collection[str]) -> KeyRing:
        """The ring with a first key wherever there was none; what is new is written. Raises KeyFilesError."""
        ring = self.ring().completed(tuple(sorted(function_names)))
        self.save(ring)
        return ring

    def save(self, ring: KeyRing) -> None:
        """Make the files say what the ring says. Raises KeyFilesError."""
        before = self.ring()
        if ring == before:
            return
        try:
            os.makedirs(self._folder, FOLDER_MODE, exist_ok=True)
            if (ring.master, ring.host, ring.system) != (before.master, before.host, before.system):
                self._write(HOST_FILE, _host_content(ring))
            for function, keys in ring.functions.items():
                if keys != before.keys_of(function):
                    self._write(f"{function}.json", {"keys": _rows(keys)})
        except OSError as error:
            raise KeyFilesError(f"The keys cannot be written to {self._folder}: {error.strerror}.") from error
        self._take(ring, None)

    def _read(self, folder: os.stat_result) -> KeyRing:
        if not stat.S_ISDIR(folder.st_mode):
            raise KeyFilesError(f"{self._folder} is no folder (links are not followed); keys are kept there.")
        host = self._file(HOST_FILE)
        functions: dict[str, Keys] = {}
        for name in sorted(os.listdir(self._folder)):
            match = _FUNCTION_FILE.fullmatch(name)
            if match is not None and name != HOST_FILE:
                functions[match[1]] = _keys(self._file(name), "keys", self._folder / name)
        where = self._folder / HOST_FILE
        master = _keys({MASTER: [host["masterKey"]]}, MASTER, where) if "masterKey" in host else {}
        return KeyRing(
            next(iter(master.values()), None), _keys(host, "functionKeys", where), _keys(host, "systemKeys", where),
            functions,
        )  # fmt: skip

    def _file(self, name: str) -> dict[str, Any]:
        path = self._folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KeyFilesError(
                f"The key file {path} cannot be read: {error.strerror} (links are not followed)."
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
                raise KeyFilesError(f"Other users may read the key file {path}. Say: chmod 600 {path}")
            content = file.read(FILE_BYTES_MAX)
        try:
            value: Any = json.loads(content)
        except ValueError as error:
            raise KeyFilesError(f"The key file {path} is not JSON: {error}.") from error
        if not isinstance(value, dict):
            raise KeyFilesError(f"The key file {path} does not hold a JSON object.")
        return cast(dict[str, Any], value)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        path, new = self._folder / name, self._folder / f".{name}.{os.getpid()}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), FILE_MODE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2)
                file.flush()
                os.fsync(descriptor)
            # A link of that name is replaced, not followed.
            os.replace(new, path)
        except BaseException:
            os.unlink(new)
            raise


def _host_content(ring: KeyRing) -> dict[str, Any]:
    content: dict[str, Any] = {"functionKeys": _rows(ring.host), "systemKeys": _rows(ring.system)}
    if ring.master is not None:
        content = {"masterKey": _row(MASTER, ring.master), **content}
    return content


def _rows(keys: Keys) -> list[dict[str, Any]]:
    return [_row(name, value) for name, value in keys.items()]


def _row(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value, "encrypted": False}


def _keys(content: Mapping[str, Any], member: str, path: Path) -> Keys:
    rows: Any = content.get(member, [])
    keys: dict[str, str] = {}
    for row in cast(list[Any], rows) if isinstance(rows, list) else [rows]:
        known = cast(dict[str, Any], row) if isinstance(row, dict) else {}
        name, value = known.get("name"), known.get("value")
        if not (isinstance(name, str) and isinstance(value, str) and value):
            raise KeyFilesError(f"In the key file {path}, '{member}' holds an entry without name or value.")
        if known.get("encrypted") is True:
            raise KeyFilesError(f"In the key file {path}, the key '{name}' is encrypted; only plain values are read.")
        keys[name] = value
    return keys
