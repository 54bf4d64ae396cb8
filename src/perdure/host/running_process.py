"""What a process that runs an engine sets for itself: signals, garbage collection, the interpreter's lock."""

import asyncio
import gc
import os
import signal

SWITCH_INTERVAL_SECONDS = 0.0001
"""CPU-bound code beside the engine keeps the interpreter lock no longer than this (architecture.md J9)."""
_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)
GC_THRESHOLDS = (10_000, 10, 10)
"""Python's own are (700, 10, 10): with them a tenth of a busy engine's time, in pauses of 60 ms."""


def spare_collections() -> None:
    """Let the garbage collector leave alone what is loaded, and come less often.

    Thousands of live instances are no garbage, yet each full collection looks at all of them, and the loop stands
    still meanwhile.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def exit_on_signals() -> None:
    """End at once while nothing runs yet: an import of the app would keep the loop from seeing any signal."""
    for number in _STOPPING_SIGNALS:
        signal.signal(number, lambda number, _: _exit_at_once(number))


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set ``stop`` at the first signal; end at once at the second."""

    def stop_or_exit(number: int) -> None:
        if stop.is_set():
            # The user does not want to wait; the store is safe at any moment.
            _exit_at_once(number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in _STOPPING_SIGNALS:
        loop.add_signal_handler(number, stop_or_exit, number)


def _exit_at_once(number: int) -> None:
    # No flush: the signal may have come in the middle of a write to the same stream.
    os._exit(128 + number)
