"""A warning for apps whose host.json asks for the first extension bundle, which has no entities on Azure."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

_FIRST_BUNDLE = "[1.*, 2.0.0)"


def warn_of_first_bundle() -> None:
    """Look at the working directory's host.json; whatever else is wrong with it is not said here."""
    if "pytest" in sys.modules:
        return
    try:
        host: Any = json.loads(Path("host.json").read_bytes())
        version = host["extensionBundle"]["version"]
    except (OSError, ValueError, LookupError, TypeError):
        return
    if version == _FIRST_BUNDLE:
        warnings.warn(
            "host.json asks for Extension Bundles 1.x, with which durable entities do not work on Azure; "
            'write "version": "[4.*, 5.0.0)" in its extensionBundle.',
            stacklevel=3,
        )
