"""Where a host is between its start and its end, for whoever asks or wants to change it."""

import asyncio

from perdure.host.drain import Drain


class Condition:
    """``not_ready`` says why the host does not serve yet or any more; None while it serves."""

    def __init__(self, drain: Drain) -> None:
        self.not_ready: str | None = "The host is starting."
        self.restart_asked = asyncio.Event()
        self.drain = drain

    @property
    def state(self) -> str:
        """One word for it, as the admin endpoints have them."""
        if self.restart_asked.is_set():
            return "Stopping"
        return "Running" if self.not_ready is None else "Starting"
