"""For tests of programs: a backend in memory, and replays of recorded histories (portable-sdk.md §11)."""

from durabletask.testing.backend import InMemoryOrchestrationBackend, create_test_backend
from durabletask.testing.replaying import ReplayResult, replay

__all__ = ["InMemoryOrchestrationBackend", "ReplayResult", "create_test_backend", "replay"]
