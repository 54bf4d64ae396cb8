"""A network of its own for one host: its callers reach it by one cable, it reaches the database by another."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

CALLERS = ("10.213.8.1", "10.213.8.2")
DATABASE = ("10.213.9.1", "10.213.9.2")
"""Our end and the host's end of each cable."""


@dataclass(frozen=True)
class Network:
    """``python`` runs within it. The host is found at ``address``; the database has to be at ``database``."""

    name: str
    python: Path

    @property
    def address(self) -> str:
        return CALLERS[1]

    @property
    def database(self) -> str:
        return DATABASE[0]

    def pull(self) -> None:
        """Pull the cable to the database: nothing arrives, and nobody is told."""
        _ip("link", "set", f"{self.name}d", "down")

    def plug(self) -> None:
        _ip("link", "set", f"{self.name}d", "up")


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Needs root."""
    name = f"pd{uuid4().hex[:8]}"
    _ip("netns", "add", name)
    try:
        for letter, (ours, theirs) in (("c", CALLERS), ("d", DATABASE)):
            _ip("link", "add", f"{name}{letter}", "type", "veth", "peer", "name", f"cable-{letter}", "netns", name)
            _ip("addr", "add", f"{ours}/24", "dev", f"{name}{letter}")
            _ip("link", "set", f"{name}{letter}", "up")
            _ip("-n", name, "addr", "add", f"{theirs}/24", "dev", f"cable-{letter}")
            _ip("-n", name, "link", "set", f"cable-{letter}", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        python = folder / f"python-{name}"
        python.write_text(
            f'#!/bin/sh\nexec ip netns exec {name} {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8"
        )
        python.chmod(0o755)
        yield Network(name, python)
    finally:
        _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
