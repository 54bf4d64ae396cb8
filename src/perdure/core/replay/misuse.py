"""What to say of code that yields or awaits something that is no task: its type, and where that happened."""

from types import CodeType, FrameType
from typing import Any


def describe_misuse(orchestrator: str, program: Any, yielded: Any) -> str:
    """Name the value's type and the line of user code that is suspended on it."""
    is_coroutine = hasattr(program, "cr_frame")
    return (
        f"Orchestrator '{orchestrator}' {'awaited' if is_coroutine else 'yielded'} a value of type "
        f"{type(yielded).__name__!r}{_place(program)}; orchestrators {'await' if is_coroutine else 'yield'} only "
        "tasks made by their context (call_activity, create_timer, ...), and leave all other waiting to activities."
    )


def _place(program: Any) -> str:
    frame = _innermost_frame(program)
    if frame is None:
        return ""
    code: CodeType = frame.f_code
    return f" ({code.co_filename}, line {frame.f_lineno}, in {code.co_name})"


def _innermost_frame(program: Any) -> FrameType | None:
    """The deepest suspended frame of a generator or coroutine that is not asyncio's own."""
    frame: FrameType | None = None
    while program is not None:
        own: FrameType | None = getattr(program, "gi_frame", None) or getattr(program, "cr_frame", None)
        if own is not None and not str(own.f_globals.get("__name__", "")).startswith("asyncio"):
            frame = own
        program = getattr(program, "gi_yieldfrom", None) or getattr(program, "cr_await", None)
    return frame
