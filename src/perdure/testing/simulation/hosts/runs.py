"""Activities in the executors of hosts: none begins again unless a blow has struck who had it before (X2)."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from perdure.contracts.records import PendingActivity


class Rights(Protocol):
    """What the rows say of who may run what."""

    def is_listed(self, process: int) -> bool:
        """Whether the store counts it among the living."""
        ...

    def was_struck(self, host: str) -> bool:
        """Whether the store has counted it among the dead."""
        ...

    def is_of(self, process: int, host: str) -> bool:
        """Whether it is, or was, that host."""
        ...

    def right_to(self, activity: PendingActivity) -> "Right | None":
        """Who may run it now; None: nobody."""
        ...

    def doer_of(self, number: int) -> int | None:
        """Who has claimed it."""
        ...


class Right(msgspec.Struct, frozen=True):
    """To run an activity. ``epoch``: of its partition, for an owner; None: by a claim."""

    process: int
    epoch: int | None


class Run(msgspec.Struct, eq=False):
    """An activity with the executor of one host. ``right``: what the host had when it came there."""

    activity: PendingActivity
    host: str
    right: Right | None
    has_begun: bool = False
    is_given_up: bool = False
    """Whether a host that stops, or a worker that is gone, has let go of it."""


class RunsAudit:
    """Who has which activity, and who began it before."""

    def __init__(self, require: Callable[[bool, str], None], rights: Rights) -> None:
        self._require = require
        self._rights = rights
        self._here: dict[tuple[str, int], Run] = {}
        self._begun: dict[int, list[Run]] = {}
        self.repeat_count = 0
        """Activities that began although they had begun elsewhere, or had ended."""

    def given(self, host: str, activity: PendingActivity) -> None:
        """A host's executor gets it."""
        key = host, activity.number
        self._require(key not in self._here, f"X2: {host} has it already: {activity}")
        right = self._rights.right_to(activity)
        if right is not None and not self._rights.is_of(right.process, host):
            right = None
        self._here[key] = Run(activity, host, right)

    def waits(self, host: str, activity: PendingActivity) -> None:
        """It waits for a worker of that host; if one had begun it, that one is gone with what came of it."""
        key = host, activity.number
        run = self._here.get(key)
        if run is not None and run.has_begun:
            run.is_given_up = True
            self._here[key] = Run(activity, host, run.right)

    def left(self, host: str, activity: PendingActivity) -> None:
        """It was taken out of the executor, or dropped there, before it began."""
        run = self._here.pop((host, activity.number))
        self._require(not run.has_begun, f"X2: {host} takes back what it has begun: {activity}")

    def begins(self, host: str, activity: PendingActivity) -> None:
        """Its code begins."""
        run = self._here.get((host, activity.number))
        self._require(run is not None, f"X2: {host} begins what it does not have: {activity}")
        assert run is not None
        self._require(not run.has_begun, f"X2: {host} begins what runs there: {activity}")
        run.has_begun = True
        doer = self._rights.doer_of(activity.number)
        self._require(
            doer is None or self._rights.is_of(doer, host) or self._is_struck(run),
            f"X2: {host} begins what process {doer} has claimed and does: {activity}",
        )
        formers = self._begun.setdefault(activity.number, [])
        for former in formers:
            self._require(
                self._may_be_repeated(former) or self._is_struck(run),
                f"X2: {host} begins what {former.host} began with {former.right}: {activity}",
            )
        self.repeat_count += bool(formers)
        formers.append(run)

    def ended(self, host: str, activity: PendingActivity) -> None:
        """Its result left the executor."""
        del self._here[host, activity.number]

    def dropped(self, host: str) -> None:
        """An executor is gone with all it had."""
        for key in [key for key in self._here if key[0] == host]:
            self._here.pop(key).is_given_up = True

    def given_up(self, host: str, number: int) -> None:
        """A host that stops waits for it no longer."""
        run = self._here.get((host, number))
        if run is not None:
            run.is_given_up = True

    def _may_be_repeated(self, run: Run) -> bool:
        return run.is_given_up or self._is_struck(run)

    def _is_struck(self, run: Run) -> bool:
        """Whether the host has lost its right by a blow."""
        if run.right is None:
            return self._rights.was_struck(run.host)
        return not self._rights.is_listed(run.right.process)
