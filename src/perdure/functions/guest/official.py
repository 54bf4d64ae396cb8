"""Which official package the app's environment holds, and whether it can be a guest here."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import InvalidVersion, Version

from perdure import sdks

DISTRIBUTION = "azure-functions-durable"
_HINT = f'pip install "{DISTRIBUTION}<2"'


class GuestRefused(Exception):
    """The app cannot run on the installed SDK; the message says what to do."""


def require_official() -> str:
    """The version of the official package, imported. Raises GuestRefused."""
    try:
        found = version(DISTRIBUTION)
    except PackageNotFoundError:
        raise GuestRefused(
            f"--sdk installed needs the official {DISTRIBUTION}, which this environment has not. Install it ({_HINT}), "
            "or leave the option out: perdure serves the same names by itself."
        ) from None
    if not _is_first_generation(found):
        raise GuestRefused(
            f"--sdk installed runs the official {DISTRIBUTION} 1.x; {found} is installed, and from 2.0 on it speaks "
            f"another protocol. Install an older one ({_HINT}), or leave the option out: perdure serves both "
            "generations by itself."
        )
    module = import_module("azure.durable_functions")
    file = Path(module.__file__ or "").resolve()
    if file.is_relative_to(sdks.sdk_folder()):
        raise GuestRefused(
            f"--sdk installed: {DISTRIBUTION} {found} is installed, yet 'import azure.durable_functions' finds "
            "perdure's own package first. Take perdure's SDK folder out of PYTHONPATH."
        )
    return found


def _is_first_generation(found: str) -> bool:
    try:
        return Version(found) < Version("2.dev0")
    except InvalidVersion:
        return False
