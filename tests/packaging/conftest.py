"""One wheel and one download of what stands beside it, for all the environments these tests make."""

import shutil
from pathlib import Path

import pytest

from support.pip_environment import pip

REPOSITORY = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", ".venv", ".env-*", ".perdure", "__pycache__", ".*_cache", ".hypothesis", "dist", "build")
BESIDE = ("azure-functions-durable<2", "azure-identity", "azure-storage-blob")


SECONDS_MAX = 300
"""The first of these tests builds the wheel and downloads what stands beside it, too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS_MAX))


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, so that nothing is built in the working tree and nothing changes meanwhile."""
    copy = tmp_path_factory.mktemp("checkout") / "perdure"
    return Path(shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(*LEFT_OUT)))


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, checkout)
    (built,) = folder.glob("perdure-*.whl")
    return built


@pytest.fixture(scope="session")
def wheelhouse(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of perdure, the official packages and all that they need, newest versions."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    pip("download", "--quiet", "--only-binary", ":all:", "--dest", folder, wheel, *BESIDE)
    return folder
