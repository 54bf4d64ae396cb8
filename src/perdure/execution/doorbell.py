"""Wakes a sleeping thread, quickly."""

import os
from collections.abc import Callable


class Doorbell:
    """One thread waits, others ring; rings are counted, so one that comes before the wait is not lost.

    A pipe and not a lock, a semaphore or a queue: writing to it lets go of the interpreter lock, so that the woken
    thread runs while the ringing one is still on its way to sleep. With the others it wakes only to wait for that
    lock, and a hand-over costs twice as much.
    """

    __slots__ = ("_hear", "_ring")

    def __init__(self) -> None:
        self._hear, self._ring = os.pipe()

    def ring(self) -> None:
        """Let one ``wait`` return."""
        os.write(self._ring, b".")

    def wait(self) -> None:
        """Sleep until somebody rings."""
        os.read(self._hear, 1)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Only here, where nobody can ring any more: a number that is closed may soon be somebody else's file.
        close(self._hear)
        close(self._ring)
