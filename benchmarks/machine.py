"""What the figures were measured on, and of which source."""

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
SYNCS = 300


@dataclass(frozen=True, slots=True)
class Source:
    """The commit that was measured; ``changed`` when files of the product differ from it."""

    commit: str
    changed: bool

    @property
    def short(self) -> str:
        return self.commit[:8]


def read_source() -> Source:
    """From git; "unknown" outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = bool(_git("status", "--porcelain", "--untracked-files=no", "--", "src", "sdks"))
    except (OSError, subprocess.CalledProcessError):
        return Source("unknown", False)
    return Source(commit, changed)


def read_machine(work: Path) -> dict[str, Any]:
    """Processor, memory, system, and what a sync to the disk of ``work`` costs now."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": _system(),
        "python": sys.version.split()[0],
        "file_system": _file_system(work),
        "sync_ms_median": _sync_ms(work),
        "load_1m_at_start": round(os.getloadavg()[0], 2),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    best = max(
        (part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)),
        key=lambda part: len(part.mountpoint),
        default=None,
    )
    return "unknown" if best is None else best.fstype


def _sync_ms(folder: Path) -> float:
    path = folder / "sync-probe"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    took: list[float] = []
    try:
        for _ in range(SYNCS):
            os.write(descriptor, b"x" * 4096)
            begun = time.perf_counter()
            os.fsync(descriptor)
            took.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    return round(sorted(took)[SYNCS // 2] * 1e3, 3)


def _system() -> str:
    """Name, version to its first two numbers and C library: what a figure may depend on."""
    release = ".".join(platform.release().split(".")[:2])
    return f"{platform.system()}-{release}-{platform.machine()}-with-{''.join(platform.libc_ver())}"
