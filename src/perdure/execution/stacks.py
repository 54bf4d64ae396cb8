"""Where a thread is, in the words of the app's author: the frames of user code."""

import sys
import sysconfig
import threading
import traceback
from pathlib import Path

_PERDURE = str(Path(__file__).resolve().parents[1])
_LIBRARY = sysconfig.get_path("stdlib")


def users_code(thread: threading.Thread) -> tuple[str, str]:
    """The outermost user function on the thread's stack, and the stack from there on."""
    frame = sys._current_frames().get(thread.ident or -1)  # the only way to see another thread's stack
    stack = [] if frame is None else traceback.extract_stack(frame)
    first = next((n for n, f in enumerate(stack) if not _is_plumbing(f.filename)), None)
    if first is None:
        return "?", "".join(traceback.format_list(stack))
    return stack[first].name, "".join(traceback.format_list(stack[first:]))


def _is_plumbing(file: str) -> bool:
    if file.startswith(_PERDURE):
        return True
    return file.startswith((_LIBRARY, "<frozen")) and "site-packages" not in file
