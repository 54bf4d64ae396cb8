"""The engines that are compared, by name. The modules of peers are imported only in the peers' environments."""

from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path

ENVIRONMENTS = Path(__file__).resolve().parents[1]


class Door(Enum):
    """How work reaches what runs it. Engines are compared with those of the same door."""

    PROCESS = "process"
    """As each engine's users run it."""
    GRPC = "gRPC"
    """Workers in processes of their own, by the scheduler's protocol."""


@dataclass(frozen=True, slots=True)
class EngineKind:
    """One engine as the command knows it. ``environment`` is None for what runs in the command's own."""

    name: str
    title: str
    durability: str
    place: str
    """module:class"""
    environment: str | None = None
    door: Door = Door.PROCESS
    starts_from: str | None = None
    """The environment of servers or workers that it starts, when that is another one."""
    is_empty: bool = False
    """It only passes items on, so that it takes part where items are counted."""

    def python(self, own: str) -> str:
        """The interpreter that runs it."""
        if self.environment is None:
            return own
        return str(environment_python(self.environment))


def environment_python(name: str) -> Path:
    """The interpreter of an environment that ``install_peers.py`` made."""
    return ENVIRONMENTS / f".env-{name}" / "bin" / "python"


_ALL = (
    EngineKind(
        "perdure",
        "perdure, SQLite full",
        "kill -9 and power loss",
        "benchmarks.engines.perdure:PerdureEngine",
    ),
    EngineKind(
        "perdure-postgres",
        "perdure, PostgreSQL",
        "kill -9 and power loss",
        "benchmarks.engines.perdure:PerdureOnPostgres",
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
    EngineKind(
        "serve-official",
        "perdure serve, official worker",
        "kill -9 and power loss",
        "benchmarks.engines.portable:ServedToOfficial",
        door=Door.GRPC,
        starts_from="durabletask",
    ),
    EngineKind(
        "serve-lean",
        "perdure serve, lean worker",
        "kill -9 and power loss",
        "benchmarks.engines.portable:ServedToLean",
        door=Door.GRPC,
    ),
    EngineKind(
        "serve-grpcio",
        "behind grpcio, lean worker",
        "kill -9 and power loss",
        "benchmarks.engines.portable:GrpcioServed",
        door=Door.GRPC,
    ),
    EngineKind(
        "serve-grpcio-official",
        "behind grpcio, official worker",
        "kill -9 and power loss",
        "benchmarks.engines.portable:GrpcioServedToOfficial",
        door=Door.GRPC,
        starts_from="durabletask",
    ),
    EngineKind(
        "serve-ours",
        "perdure serve, our worker",
        "kill -9 and power loss",
        "benchmarks.engines.portable:ServedToOurs",
        door=Door.GRPC,
    ),
    EngineKind(
        "memory-official",
        "in-memory backend, official worker",
        "nothing",
        "benchmarks.engines.portable:InMemoryToOfficial",
        door=Door.GRPC,
        starts_from="durabletask",
    ),
    EngineKind(
        "memory-lean",
        "in-memory backend, lean worker",
        "nothing",
        "benchmarks.engines.portable:InMemoryToLean",
        door=Door.GRPC,
        starts_from="durabletask",
    ),
    EngineKind(
        "scripted-official",
        "items by script, official worker",
        "nothing",
        "benchmarks.engines.portable:ScriptedToOfficial",
        door=Door.GRPC,
        is_empty=True,
        starts_from="durabletask",
    ),
    EngineKind(
        "grpc-empty",
        "gRPC alone, no engine",
        "nothing",
        "benchmarks.engines.portable:EmptyServer",
        door=Door.GRPC,
        is_empty=True,
    ),
    EngineKind(
        "own-empty",
        "our HTTP/2 alone, no engine",
        "nothing",
        "benchmarks.engines.portable:OwnEmptyServer",
        door=Door.GRPC,
        is_empty=True,
    ),
)
KINDS = {kind.name: kind for kind in _ALL}


def engine_class(name: str) -> type:
    """The engine's class; imports its module."""
    module, _, attribute = KINDS[name].place.partition(":")
    found: type = getattr(import_module(module), attribute)
    return found
