"""App settings: the environment as functions and bindings see it (functions-host.md §6.2)."""

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"%([^%]*)%")
_TRUE = frozenset({"1", "true"})


class UnresolvedSetting(ValueError):
    """A ``%NAME%`` in a binding names no setting."""


class AppSettings:
    """Look-up in the environment: exact first, then ignoring case, with ``:`` and ``__`` meaning the same."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self._by_key = {_key(name): name for name in environment}

    def get(self, name: str) -> str | None:
        """The value, or None."""
        exact = self.environment.get(name)
        if exact is not None:
            return exact
        found = self._by_key.get(_key(name))
        return None if found is None else self.environment.get(found)

    def is_true(self, *names: str) -> bool:
        """Whether one of the settings is ``true`` or ``1``."""
        return any((self.get(name) or "").strip().lower() in _TRUE for name in names)

    def positive_integer(self, name: str, default: int) -> int:
        """A setting that is a number from 1 on; the default when it is absent or anything else, as upstream does."""
        text = (self.get(name) or "").strip()
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
        return value if value >= 1 else default

    def resolve(self, text: str) -> str:
        """Replace every ``%NAME%``. Raises UnresolvedSetting for an unknown name or a percent sign without partner."""
        if text.count("%") % 2:
            raise UnresolvedSetting(f"'{text}' has a '%' without its closing one")
        return _TOKEN.sub(self._value_of, text)

    def resolve_all(self, binding: Mapping[str, Any]) -> dict[str, Any]:
        """A binding's fields with their ``%NAME%`` replaced. Raises UnresolvedSetting."""
        return {key: self.resolve(value) if isinstance(value, str) else value for key, value in binding.items()}

    def _value_of(self, token: re.Match[str]) -> str:
        value = self.get(token[1])
        if value is None:
            raise UnresolvedSetting(f"'%{token[1]}%' names no app setting; set {token[1]} in local.settings.json")
        return value


def _key(name: str) -> str:
    return name.replace("__", ":").lower()
