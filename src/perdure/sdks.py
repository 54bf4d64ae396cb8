"""Makes the import names of the official SDKs mean ours, in this process only.

Our SDK packages lie in a folder of their own beside, never among, the official ones
(docs/decisions/0005-sdk-folder.md). Standard library only; importing this module changes nothing.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FunctionType, ModuleType

from perdure import __version__

_SERVED = {
    "azure.durable_functions": "azure-functions-durable",
    "durabletask": "durabletask",
}
"""Import name → the distribution that officially provides it."""


class SdkAlreadyImported(ImportError):
    """Another SDK was imported before ours could be preferred; the message says which and by whom."""


def sdk_folder() -> Path:
    """The folder that holds our SDK packages: ``perdure_sdks`` beside the installed package, ``sdks`` in a checkout.

    Raises FileNotFoundError when neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "perdure_sdks", package.parent.parent / "sdks"):
        if (folder / "azure" / "durable_functions").is_dir():
            return folder
    raise FileNotFoundError(
        f"perdure's SDK packages are missing beside {package}; "
        "install it again with: pip install --force-reinstall perdure"
    )


def prefer_ours() -> None:
    """Let the names we serve be imported from our folder for the rest of this process. Twice-safe.

    Call it before any user code runs. Raises SdkAlreadyImported when one of the names is already
    imported from elsewhere: two copies of an SDK in one process would not know each other's classes.
    """
    finder = _OurSdks(sdk_folder())
    for name in finder.names:
        module = sys.modules.get(name)
        if module is not None and not finder.owns(module):
            raise SdkAlreadyImported(_conflict(name, module), name=name, path=getattr(module, "__file__", None))
    if not any(isinstance(present, _OurSdks) for present in sys.meta_path):
        sys.meta_path.insert(0, finder)


def describe() -> str:
    """One line for the start log: which SDK serves, and which official packages stand beside it."""
    names = _OurSdks(sdk_folder()).names
    beside = [f"{distribution} {version}" for distribution, version in _official(names)]
    line = f"SDK: perdure {__version__} serves {' and '.join(names)}"
    if not beside:
        return line
    verb = "is" if len(beside) == 1 else "are"
    return f"{line} ({' and '.join(beside)} {verb} installed too and untouched)"


class _OurSdks(MetaPathFinder):
    """Answers exactly the served names that our folder holds; their submodules follow from the package's path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names = [name for name in _SERVED if folder.joinpath(*name.split("."), "__init__.py").is_file()]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.names:
            return None
        return PathFinder.find_spec(fullname, [str(self._folder.joinpath(*fullname.split(".")[:-1]))])

    def owns(self, module: ModuleType) -> bool:
        """Whether the module was loaded from our folder."""
        file = getattr(module, "__file__", None)
        return file is not None and Path(file).resolve().is_relative_to(self._folder)


def _official(names: Sequence[str]) -> list[tuple[str, str]]:
    from importlib.metadata import PackageNotFoundError, version  # costs 20 ms: only for whoever asks

    found: list[tuple[str, str]] = []
    for name in names:
        try:
            found.append((_SERVED[name], version(_SERVED[name])))
        except PackageNotFoundError:
            continue
    return found


def _conflict(name: str, module: ModuleType) -> str:
    place = getattr(module, "__file__", None) or "an unknown place"
    official = _official([name])
    package = " ".join(official[0]) if official else "no package that pip knows"
    users = _importers(name, module)
    by = f" by {', '.join(users)}" if users else ""
    return (
        f"{name} was already imported{by} from {place} ({package}), so perdure cannot serve it in this process. "
        "Import it after perdure has started, or start the app with 'perdure start'."
    )


def _importers(name: str, module: ModuleType) -> list[str]:
    """Up to three modules outside the package that hold it, or a class or function of it."""

    def inside(module_name: object) -> bool:
        return f"{module_name}.".startswith(f"{name}.")

    def belongs(value: object) -> bool:
        return value is module or (isinstance(value, type | FunctionType) and inside(value.__module__))

    found: list[str] = []
    for importer, candidate in sorted(sys.modules.items()):
        if inside(importer) or name.startswith(f"{importer}."):
            continue
        if any(belongs(value) for value in list(getattr(candidate, "__dict__", {}).values())):
            found.append(importer)
    return found[:3]
