"""How many connections a process may have: each is an open file, and the store needs some, too."""

import contextlib
import sys

SPARE_FILES = 256
"""For stores, HTTP and what Python itself opens."""


def connections_that_fit(wanted: int) -> int:
    """Let this process open enough files for so many connections; returns for how many it may.

    Where files run out a store can open none either, so that others than the one caller too many would be refused.
    """
    if sys.platform == "win32":
        # There connections are no files, and have no such limit.
        return wanted
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_FILES
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        more = needed if most == resource.RLIM_INFINITY else min(needed, most)
        # Systems have limits beside the one they tell (macOS).
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, most))
            allowed = more
    if allowed == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(allowed - SPARE_FILES, allowed // 2, 1))
