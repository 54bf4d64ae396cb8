"""The keys of a host as a value, and what a presented key is worth (functions-host.md §8). Pure."""

import hmac
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

MASTER = "master"
"""What the master key is called in answers and files; callers may also write ``_master``."""
FIRST_KEY = "default"
"""The name of the first host key and of each function's first key."""
DURABLE_SYSTEM_KEY = "durabletask_extension"
MASTER_NAMES = frozenset({MASTER, "_master"})

Keys = Mapping[str, str]
"""Name → value."""


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,126}")
_VALUE = re.compile(r"[!-~]{1,1000}")


class InvalidKey(ValueError):
    """The name or the value cannot be a key's."""


@dataclass(frozen=True, slots=True)
class HostKeys:
    """The keys that open every function; the master key is named beside them."""


@dataclass(frozen=True, slots=True)
class SystemKeys:
    """The keys of extensions."""


@dataclass(frozen=True, slots=True)
class FunctionKeys:
    """The keys of one function."""

    name: str


KeyPlace = HostKeys | SystemKeys | FunctionKeys


class Standing(Enum):
    """What a presented key is."""

    UNKNOWN = "unknown"
    MASTER = "master"
    DURABLE = "durable"
    """The system key of the durable extension."""
    SYSTEM = "system"
    """Another system key."""
    HOST = "host"
    """Opens every function."""
    FUNCTION = "function"
    """The asked-for function's own key."""
    OTHER_FUNCTION = "other function"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys of a host. Functions are named in lower case."""

    master: str | None = None
    host: Keys = field(default_factory=dict[str, str])
    system: Keys = field(default_factory=dict[str, str])
    functions: Mapping[str, Keys] = field(default_factory=dict[str, Keys])

    def standing(self, presented: bytes, function_name: str | None = None) -> Standing:
        """What the key is for a caller of that function, or of no function.

        Every key is compared in full, whichever one is right, so that the time it takes tells nothing.
        """
        found = Standing.UNKNOWN
        for value, standing in self._candidates(function_name):
            if hmac.compare_digest(value.encode(), presented) and found is Standing.UNKNOWN:
                found = standing
        return found

    def _candidates(self, function_name: str | None) -> Iterator[tuple[str, Standing]]:
        if self.master:
            yield self.master, Standing.MASTER
        for name, value in self.system.items():
            yield value, Standing.DURABLE if name == DURABLE_SYSTEM_KEY else Standing.SYSTEM
        for value in self.host.values():
            yield value, Standing.HOST
        wanted = None if function_name is None else function_name.lower()
        for function, keys in self.functions.items():
            for value in keys.values():
                yield value, Standing.FUNCTION if function == wanted else Standing.OTHER_FUNCTION

    @property
    def durable(self) -> str | None:
        """The key that management links carry."""
        return self.system.get(DURABLE_SYSTEM_KEY)

    def keys_of(self, function_name: str) -> Keys:
        """The keys of one function."""
        return self.functions.get(function_name.lower(), {})

    def keys_at(self, place: KeyPlace) -> Keys:
        """The keys of that place, the master key not among them."""
        match place:
            case SystemKeys():
                return self.system
            case HostKeys():
                return self.host
            case FunctionKeys(name):
                return self.keys_of(name)

    def with_key(self, place: KeyPlace, name: str, value: str) -> "KeyRing":
        """The same ring with a key of that name and value. Raises InvalidKey."""
        _check(name, value)
        if name in MASTER_NAMES and isinstance(place, HostKeys):
            return replace(self, master=value)
        return self._with_keys(place, {**self.keys_at(place), name: value})

    def without_key(self, place: KeyPlace, name: str) -> "KeyRing":
        """The same ring without that key; this very one where it is not there. Raises InvalidKey for the master key."""
        if name in MASTER_NAMES and isinstance(place, HostKeys):
            raise InvalidKey("The master key can be changed and not deleted.")
        keys = self.keys_at(place)
        if name not in keys:
            return self
        return self._with_keys(place, {key: value for key, value in keys.items() if key != name})

    def with_function_keys(self, function_name: str, keys: Keys) -> "KeyRing":
        """The same ring with other keys for one function."""
        return replace(self, functions={**self.functions, function_name.lower(): keys})

    def _with_keys(self, place: KeyPlace, keys: Keys) -> "KeyRing":
        match place:
            case SystemKeys():
                return replace(self, system=keys)
            case HostKeys():
                return replace(self, host=keys)
            case FunctionKeys(name):
                return self.with_function_keys(name, keys)

    def completed(self, function_names: "frozenset[str] | tuple[str, ...]" = ()) -> "KeyRing":
        """The same ring with a new key wherever a first one is missing."""
        ring = self
        if not ring.master:
            ring = replace(ring, master=new_key())
        if not ring.host:
            ring = replace(ring, host={FIRST_KEY: new_key()})
        if DURABLE_SYSTEM_KEY not in ring.system:
            ring = replace(ring, system={**ring.system, DURABLE_SYSTEM_KEY: new_key()})
        for name in function_names:
            if not ring.keys_of(name):
                ring = ring.with_function_keys(name, {FIRST_KEY: new_key()})
        return ring


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidKey(f"'{name}' is no name of a key: letters, digits, '_', '.' and '-', at most 127.")
    if not _VALUE.fullmatch(value):
        raise InvalidKey("A key's value is 1 to 1,000 printable ASCII characters without spaces.")


def new_key() -> str:
    """40 random bytes in letters that need no quoting in a URL."""
    return secrets.token_urlsafe(40)
