"""function.json of the v1 model → FunctionFile (functions-host.md §1.2). What is wrong is said with line and column."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from perdure.functions.json_positions import position_of
from perdure.functions.setting_tree import boolean, one_of, shown, text

T = TypeVar("T")

FILE_NAME = "function.json"
RETURN_NAME = "$return"
DEFAULT_ENTRY_POINT = "main"

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,127}")
_SETTING = re.compile(r"%[^%]+%")
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_BINDING_FIELDS = (
    "type", "direction", "name", "dataType", "connection", "cardinality", "route", "methods", "authLevel", "schedule",
    "runOnStartup", "useMonitor", "taskHub", "connectionName", "orchestration", "activity", "entityName",
)  # fmt: skip
"""Fields that mean something to the host; their names match in any case."""


class FunctionJsonError(Exception):
    """The file cannot be used; the message names file, line, column and field."""


@dataclass(frozen=True, slots=True)
class FunctionFile:
    """What one function.json says. ``disabled`` may be a text that names a setting."""

    bindings: tuple[Mapping[str, Any], ...]
    script_file: str | None
    entry_point: str
    retry: Mapping[str, Any] | None
    disabled: bool | str

    @property
    def trigger(self) -> Mapping[str, Any]:
        """Its one trigger."""
        return next(binding for binding in self.bindings if is_trigger(binding))


def is_trigger(binding: Mapping[str, Any]) -> bool:
    """Whether a binding is what starts the function."""
    return str(binding["type"]).lower().endswith("trigger")


def read_function_file(folder: Path) -> FunctionFile:
    """Read ``folder/function.json``. Raises FunctionJsonError."""
    shown_name = f"{folder.name}/{FILE_NAME}"
    try:
        content = (folder / FILE_NAME).read_bytes()
    except OSError as error:
        raise FunctionJsonError(f"{shown_name} cannot be read: {error.strerror}") from error
    return read_function_json(content, shown_name)


def read_function_json(content: bytes, name: str) -> FunctionFile:
    """Read the file's bytes; ``name`` is what messages call it. Comments are allowed, as they always were here.

    Raises FunctionJsonError.
    """
    try:
        source = _STRING_OR_COMMENT.sub(_without_comment, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FunctionJsonError(f"{name}, line {line}: not UTF-8 (byte {error.start})") from error
    try:
        written: Any = json.loads(source)
    except json.JSONDecodeError as error:
        raise FunctionJsonError(f"{name}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise FunctionJsonError(f"{name} is nested too deep") from error
    if not isinstance(written, dict):
        raise FunctionJsonError(f"{name}, line 1, column 1: must be a JSON object")
    return _read(_Fields(source, name, (), cast(dict[str, Any], written)))


class _Fields:
    """One object of the file, read field by field."""

    def __init__(self, source: str, name: str, path: tuple[str | int, ...], values: dict[str, Any]) -> None:
        self._source = source
        self._name = name
        self._path = path
        self._spelled = {key.lower(): key for key in values}
        self.values = values

    def take(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """The value at ``key``, or the default. Raises FunctionJsonError when ``read`` raises ValueError."""
        value = self.value(key)
        if value is None:
            return default
        try:
            return read(value)
        except ValueError as error:
            raise self.wrong(key, str(error)) from error

    def value(self, key: str) -> Any:
        """What stands at ``key``; None when nothing does."""
        return self.values.get(self._spelled.get(key.lower(), key))

    def wrong(self, key: str, reason: str) -> FunctionJsonError:
        """An error about the field ``key``, or about the object when it has none."""
        spelled = self._spelled.get(key.lower())
        line, column = position_of(self._source, self._path if spelled is None else (*self._path, spelled))
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in (*self._path, spelled or key))
        return FunctionJsonError(f"{self._name}, line {line}, column {column}: {where.removeprefix('.')} {reason}")

    def inner(self, key: str, number: int, value: Any) -> "_Fields":
        """The object at a place of the list ``key``. Raises FunctionJsonError for anything but an object."""
        path = (*self._path, self._spelled[key.lower()], number)
        if not isinstance(value, dict):
            line, column = position_of(self._source, path)
            place = f"{self._name}, line {line}, column {column}"
            raise FunctionJsonError(f"{place}: {key}[{number}] must be an object, not {shown(value)}")
        return _Fields(self._source, self._name, path, cast(dict[str, Any], value))


def _read(root: _Fields) -> FunctionFile:
    root.take("configurationSource", one_of("attributes", "config"), "")
    written = root.value("bindings")
    if written is None:
        raise root.wrong("bindings", "is missing; a function needs at least its trigger")
    if not isinstance(written, list) or not written:
        raise root.wrong("bindings", f"must be a list with at least the function's trigger, not {shown(written)}")
    objects = [root.inner("bindings", number, value) for number, value in enumerate(cast(list[Any], written))]
    bindings = tuple(_read_binding(fields) for fields in objects)
    _check_names(objects, bindings)
    _check_trigger(root, objects, bindings)
    return FunctionFile(
        bindings,
        script_file=root.take("scriptFile", text, None) or None,
        entry_point=root.take("entryPoint", text, None) or DEFAULT_ENTRY_POINT,
        retry=root.take("retry", _object, None),
        disabled=root.take("disabled", _boolean_or_setting, False),
    )


def _read_binding(fields: _Fields) -> dict[str, Any]:
    for key in ("type", "name"):
        if not fields.take(key, text, ""):
            raise fields.wrong(key, "is missing")
    direction = fields.take("direction", one_of("in", "out", "inout"), "in")
    if direction == "inout":
        raise fields.wrong("direction", 'is "inout", which Python functions have not; it is "in" or "out"')
    name = fields.take("name", text, "")
    if name == RETURN_NAME and direction != "out":
        raise fields.wrong("direction", f'must be "out" for {RETURN_NAME}')
    if name != RETURN_NAME and _NAME.fullmatch(name) is None:
        raise fields.wrong(
            "name", f"must be letters, digits and '_', a letter first, or {RETURN_NAME}, not {shown(name)}"
        )
    fields.take("dataType", one_of("string", "binary", "stream"), "")
    known = {field.lower(): field for field in _BINDING_FIELDS}
    binding = {known.get(key.lower(), key): value for key, value in fields.values.items() if value is not None}
    return {**binding, "direction": direction}


def _check_names(objects: list[_Fields], bindings: tuple[Mapping[str, Any], ...]) -> None:
    seen: set[str] = set()
    for fields, binding in zip(objects, bindings, strict=True):
        folded = str(binding["name"]).lower()
        if folded in seen:
            raise fields.wrong("name", f"'{binding['name']}' is used by another binding of this function too")
        seen.add(folded)


def _check_trigger(root: _Fields, objects: list[_Fields], bindings: tuple[Mapping[str, Any], ...]) -> None:
    triggers = [place for place, binding in enumerate(bindings) if is_trigger(binding)]
    if not triggers:
        raise root.wrong("bindings", "has no trigger: no type in it ends with Trigger")
    if len(triggers) > 1:
        first, second = (bindings[place]["type"] for place in triggers[:2])
        raise objects[triggers[1]].wrong("type", f"'{second}' is a second trigger, besides '{first}'; there is one")
    trigger = bindings[triggers[0]]
    if trigger["direction"] != "in":
        raise objects[triggers[0]].wrong("direction", 'must be "in" for a trigger')


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {shown(value)}")
    return cast(dict[str, Any], value)


def _boolean_or_setting(value: Any) -> bool | str:
    if isinstance(value, str) and _SETTING.fullmatch(value.strip()):
        return value.strip().strip("%")
    try:
        return boolean(value)
    except ValueError:
        if isinstance(value, str) and value:
            return value
        raise ValueError(f"must be true, false or the name of a setting, not {shown(value)}") from None


def _without_comment(found: re.Match[str]) -> str:
    # Blanks in its place keep every line and column where it was.
    return found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0])
