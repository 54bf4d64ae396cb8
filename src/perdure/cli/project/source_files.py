"""Adding a function to a Python file of the v2 model: what is there stays as it is."""

import ast
from dataclasses import dataclass

_APP_CLASSES = frozenset({"FunctionApp", "DFApp", "Blueprint", "AsgiFunctionApp", "WsgiFunctionApp"})


class NotAnApp(ValueError):
    """The file cannot take a function; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file's text, the variable that collects its functions, and what it defines."""

    text: str
    app: str
    names: frozenset[str]
    imports: frozenset[str]
    """Import statements, as they would be written alone."""
    first_code: int
    """The line, from 0, before which an import may be put."""


def read_source(text: str, file: str) -> Source:
    """Raises NotAnApp."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise NotAnApp(f"{file} is not valid Python: {error.msg} at line {error.lineno}.") from None
    app = next((name for node in tree.body for name in _app_names(node)), None)
    if app is None:
        raise NotAnApp(f"{file} makes no app and no blueprint, such as: app = func.FunctionApp()")
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    imports = {part for node in tree.body for part in _imports(node)}
    first = next((node for node in tree.body if not _is_preamble(node)), None)
    return Source(text, app, frozenset(names), frozenset(imports), 0 if first is None else first.lineno - 1)


def with_function(source: Source, code: str, imports: tuple[str, ...]) -> str:
    """The text with the function at its end, and what it imports at its head."""
    lines = source.text.splitlines(keepends=True)
    missing = [f"{line}\n" for line in imports if line not in source.imports]
    lines[source.first_code : source.first_code] = missing
    text = "".join(lines)
    return f"{text.rstrip()}\n\n\n{code}"


def _app_names(node: ast.stmt) -> list[str]:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
        return []
    called = node.value.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if name in _APP_CLASSES and isinstance(target, ast.Name)]


def _imports(node: ast.stmt) -> list[str]:
    if not isinstance(node, ast.Import):
        return []
    return [f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "") for alias in node.names]


def _is_preamble(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
