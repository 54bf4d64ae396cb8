"""A clock of its own for one process: it shows a time of day that is wrong, and may be set meanwhile."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FalseClock:
    """What the process's time of day is off by stands in a file. Its monotonic clock is everybody's."""

    file: Path

    def set(self, seconds: float) -> None:
        """Off by so much from now on."""
        ahead = self.file.with_suffix(".new")
        ahead.write_text(f"{seconds:+.0f}", encoding="ascii")
        ahead.replace(self.file)

    def environment(self) -> dict[str, str]:
        """For the process, whose clock was set before. The wheel is only looked for: its import starts anew."""
        wheel = importlib.util.find_spec("libfaketime")
        assert wheel, "pip install libfaketime (Linux)"
        assert wheel.submodule_search_locations
        library = Path(wheel.submodule_search_locations[0]) / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
