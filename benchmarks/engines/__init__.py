"""The engines that are compared, by name. The modules of peers are imported only in the peers' environments."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

ENVIRONMENTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class EngineKind:
    """One engine as the command knows it. ``environment`` is None for what runs in the command's own."""

    name: str
    title: str
    durability: str
    place: str
    """module:class"""
    environment: str | None = None

    def python(self, own: str) -> str:
        """The interpreter that runs it."""
        if self.environment is None:
            return own
        return str(ENVIRONMENTS / f".env-{self.environment}" / "bin" / "python")


_ALL = (
    EngineKind(
        "perdure",
        "perdure, SQLite full",
        "kill -9 and power loss",
        "benchmarks.engines.perdure:PerdureEngine",
    ),
    EngineKind(
        "restate",
        "Restate",
        "kill -9 and power loss",
        "benchmarks.engines.restate:RestateEngine",
        environment="restate",
    ),
    EngineKind(
        "dbos-sqlite",
        "DBOS, SQLite",
        "kill -9 and power loss",
        "benchmarks.engines.dbos:DbosOnSqlite",
        environment="dbos",
    ),
    EngineKind(
        "dbos-postgres",
        "DBOS, PostgreSQL",
        "kill -9 and power loss",
        "benchmarks.engines.dbos:DbosOnPostgres",
        environment="dbos",
    ),
)
KINDS = {kind.name: kind for kind in _ALL}


def engine_class(name: str) -> type:
    """The engine's class; imports its module."""
    module, _, attribute = KINDS[name].place.partition(":")
    found: type = getattr(import_module(module), attribute)
    return found
