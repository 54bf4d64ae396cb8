"""Orchestration versions: whether this process runs an instance of a given version (semantics.md §15)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class MatchStrategy(Enum):
    """Which versions are run."""

    NONE = "None"
    """Every version."""
    STRICT = "Strict"
    """The app's own."""
    CURRENT_OR_OLDER = "CurrentOrOlder"
    """The app's own and those before it."""


class FailureStrategy(Enum):
    """What becomes of an instance whose version is not run."""

    REJECT = "Reject"
    """It stays as it is, for a process that runs its version."""
    FAIL = "Fail"
    """It fails."""


def compare_functions_versions(left: str | None, right: str | None) -> int:
    """Negative, zero or positive, as Functions hosts order versions (functions-host.md §4).

    A missing version is before any other. Dotted numbers are compared as numbers (a single number too, unlike .NET),
    everything else as text without case.
    """
    if not left or not right:
        return bool(left) - bool(right)
    if _NUMBERS.fullmatch(left) and _NUMBERS.fullmatch(right):
        return _order(_numbers(left), _numbers(right))
    return _order(left.lower(), right.lower())


@dataclass(frozen=True, slots=True)
class Versioning:
    """An app's version and what it does about others. ``compare`` orders two versions."""

    default_version: str | None = None
    match: MatchStrategy = MatchStrategy.NONE
    failure: FailureStrategy = FailureStrategy.REJECT
    compare: Callable[[str | None, str | None], int] = compare_functions_versions
    is_own: Callable[[str], bool] | None = None
    """Which orchestrators, by name, are the app's; those of remote workers are none of its business. None: all."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The instance runs here."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The instance is left to others; ``text`` says why."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The instance fails; ``text`` says why."""

    text: str


Verdict = Accepted | Rejected | Failed
_ACCEPTED = Accepted()


def check(versioning: Versioning, instance_version: str | None, name: str = "") -> Verdict:
    """Whether an app runs an instance of this version. ``name``: its orchestrator.

    An app that names no version of its own takes "current or older" as every version:
    it gets that strategy without asking for it, and what it started explicitly would otherwise never run.
    """
    own = versioning.default_version
    if versioning.is_own is not None and not versioning.is_own(name):
        return _ACCEPTED
    match versioning.match:
        case MatchStrategy.NONE:
            return _ACCEPTED
        case MatchStrategy.STRICT:
            fits = versioning.compare(instance_version, own) == 0
            wanted = "only its own version"
        case MatchStrategy.CURRENT_OR_OLDER:
            fits = not own or versioning.compare(instance_version, own) <= 0
            wanted = "its own version and older ones"
    if fits:
        return _ACCEPTED
    text = f"The instance has {_picture(instance_version)}; this app has {_picture(own)} and runs {wanted}."
    return Failed(text) if versioning.failure is FailureStrategy.FAIL else Rejected(text)


_NUMBERS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18}){0,3}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _order(left: Any, right: Any) -> int:
    return (left > right) - (left < right)


def _picture(version: str | None) -> str:
    return f"version '{version}'" if version else "no version"
