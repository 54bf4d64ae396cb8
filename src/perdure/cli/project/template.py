"""One kind of function that `perdure new` writes."""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of function. ``code`` is for v2, with ``$app``, ``$name``, ``$auth``; ``bindings`` and ``module``
    are for v1. ``imports`` are what the v2 code needs besides ``azure.functions``.
    """

    title: str
    default_name: str
    code: str
    module: str
    bindings: tuple[Mapping[str, Any], ...]
    imports: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    is_foreign: bool = False
    """Its trigger exists in Azure only."""


def code_of(template: Template, *, app: str, name: str, auth: str) -> str:
    """The function for a v2 file."""
    return string.Template(template.code).substitute(app=app, name=name, auth=auth.upper())


def function_json(template: Template, *, auth: str) -> str:
    """``function.json`` for a v1 folder."""
    bindings = [
        {key: auth.lower() if value == "{auth}" else value for key, value in binding.items()}
        for binding in template.bindings
    ]
    return json.dumps({"scriptFile": "__init__.py", "bindings": bindings}, indent=2) + "\n"
