"""Why an app could not be loaded, in words for its author: the app's own traceback, the function, the file."""

import ast
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

_OURS = str(Path(__file__).resolve().parents[1])


class AppLoadError(Exception):
    """The app cannot run; the message is ready to be shown."""


def import_failure(error: BaseException, script: Path, folder: Path) -> AppLoadError:
    """What the app in ``folder`` raised while it was imported: its own traceback, the function, a hint."""
    name = script.relative_to(folder)
    if isinstance(error, SystemExit):
        headline = f"{name} ended itself while it was imported: sys.exit({error.code!r})"
    else:
        headline = f"{name} could not be imported: {type(error).__name__}: {_message(error)}"
    lines = [headline, *_decorated_function(error, folder), "", _own_traceback(error).rstrip()]
    if isinstance(error, ImportError):
        lines += ["", *_import_hint(error, folder)]
    return AppLoadError("\n".join(lines))


def endless_import(script: Path, folder: Path, *, seconds: float, thread_id: int) -> AppLoadError:
    """The import is still running; the message shows where."""
    frame = sys._current_frames().get(thread_id)  # the only way to see another thread's stack
    stack = traceback.StackSummary() if frame is None else traceback.extract_stack(frame)
    where = "".join(traceback.StackSummary.from_list(_without_ours(stack)).format()).rstrip()
    return AppLoadError(
        f"{script.relative_to(folder)} was still being imported after {seconds:g} s. "
        f"Code at the top level of a module must not wait or loop; move it into a function. It is here:\n\n{where}"
    )


def indexing_failure(problems: Iterable[str], others: Iterable[str]) -> AppLoadError:
    """Functions that are not right, and the names of those that are."""
    lines = ["The app's functions could not be indexed:", *(f"  {problem}" for problem in problems)]
    names = sorted(others, key=str.lower)
    if names:
        lines.append(f"Without problems: {', '.join(names)}.")
    return AppLoadError("\n".join(lines))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its message cannot be shown)"


def _own_traceback(error: BaseException) -> str:
    rendered = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = rendered
    while link is not None:
        link.stack = traceback.StackSummary.from_list(_without_ours(link.stack))
        link = link.__cause__ or link.__context__
    return "".join(rendered.format())


def _without_ours(stack: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """The frames from the app's own first line on, without the import system's."""
    frames = list(stack)
    ours = [n for n, frame in enumerate(frames) if frame.filename.startswith(_OURS)]
    if ours:
        frames = frames[ours[-1] + 1 :]
    return [frame for frame in frames if not frame.filename.startswith(("<frozen importlib", importlib.__file__))]


def _decorated_function(error: BaseException, folder: Path) -> list[str]:
    """Name the function whose decorators raised, and the other functions of that file."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if frame.lineno is None or folder not in path.parents or not path.is_file():
            continue
        functions = _decorated_functions(path)
        culprit = next((f for f in functions if _decorators_hold(f, frame.lineno)), None)
        if culprit is None:
            return []
        others = ", ".join(f.name for f in functions if f is not culprit)
        place = f"{path.relative_to(folder)}, line {culprit.decorator_list[0].lineno}"
        where = f"It concerns function '{culprit.name}' ({place})."
        return [where, *([f"Other functions in that file: {others}."] if others else [])]
    return []


def _decorated_functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return []
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [node for node in found if node.decorator_list]


def _decorators_hold(node: ast.FunctionDef | ast.AsyncFunctionDef, line: int) -> bool:
    return node.decorator_list[0].lineno <= line <= node.lineno


def _import_hint(error: ImportError, folder: Path) -> list[str]:
    missing = (error.name or "").split(".")[0]
    lines: list[str] = []
    if isinstance(error, ModuleNotFoundError) and missing and not _is_found(missing):
        if (folder / "requirements.txt").is_file():
            install = f"{sys.executable} -m pip install -r {folder / 'requirements.txt'}"
            lines.append(
                f"Hint: '{missing}' is not installed here. If requirements.txt names its package, run: {install}"
            )
        else:
            lines.append(
                f"Hint: '{missing}' is not installed here, and the app has no requirements.txt to install from."
            )
    else:
        lines.append("Hint: check requirements.txt, and whether two modules of the app import each other.")
    return [*lines, f"Modules are looked for in: {', '.join(path or '.' for path in sys.path)}"]


def _is_found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False
