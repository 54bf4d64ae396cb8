"""Is somebody debugging this process? Then no clock of ours may end or replace the code that stands at a breakpoint.

Asked only when a limit is about to act, never per call.
"""

import sys
import threading
from typing import Any


def is_attached() -> bool:
    """Whether a debugger's client is connected, code is traced, or a thread waits at a pdb prompt."""
    debugger = tracer()
    if debugger is None:
        return _is_traced() or _at_a_prompt()
    # It traces as soon as it listens; only its client can set a breakpoint.
    is_client_there = getattr(debugger, "is_attached", None)
    return is_client_there is None or bool(is_client_there()) or _at_a_prompt()


def tracer() -> Any:
    """pydevd's debugger, on which debugpy and PyCharm stand, whether we listen or an editor launched us; else None."""
    # Not the module pydevd: an editor runs that as __main__.
    constants = sys.modules.get("_pydevd_bundle.pydevd_constants")
    return None if constants is None else constants.get_global_debugger()


def _is_traced() -> bool:
    return sys.gettrace() is not None or threading.gettrace() is not None


def _at_a_prompt() -> bool:
    # `breakpoint()` traces its own thread only, and others cannot ask for that; but its frames can be seen.
    if "bdb" not in sys.modules:
        return False
    for frame in sys._current_frames().values():  # pyright: ignore[reportPrivateUsage]
        above = frame
        while above is not None:
            if above.f_globals.get("__name__") == "bdb":
                return True
            above = above.f_back
    return False
