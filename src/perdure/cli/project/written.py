"""What a command did to an app's files, told when all of it is done: who stops reading stops no writing."""

from dataclasses import dataclass, field
from pathlib import Path

import click

from perdure.cli.output import print_json


@dataclass(slots=True)
class Written:
    """The files by what became of them; names are below the app's folder."""

    root: Path
    written: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """What people are told, in order."""

    def keep(self, name: str, text: str, *, overwrites: bool = False) -> None:
        """Write a file, unless it is there. Raises OSError."""
        place = self.root / name
        if place.exists() and not overwrites:
            self.skip(name, "already exists")
            return
        self.put(name, text)

    def put(self, name: str, text: str) -> None:
        """Write a file over whatever is there. Raises OSError."""
        place = self.root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        self.written.append(name)
        self.lines.append(f"Writing {name}")

    def extend(self, name: str, text: str) -> None:
        """Write a file that was there and keeps what it had. Raises OSError."""
        (self.root / name).write_text(text, encoding="utf-8")
        self.extended.append(name)
        self.lines.append(f"Extending {name}")

    def skip(self, name: str, reason: str) -> None:
        """Leave a file as it is."""
        self.skipped.append(name)
        self.lines.append(f"{name} {reason}. Skipped.")

    def tell(self, *, as_json: bool, **more: object) -> None:
        """Print it. Raises BrokenPipeError."""
        if as_json:
            done = {"written": self.written, "extended": self.extended, "skipped": self.skipped}
            print_json({"folder": str(self.root), **done, **more})
        else:
            for line in self.lines:
                click.echo(line)
