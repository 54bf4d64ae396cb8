"""One wheel and one download of what stands beside it, for all the environments these tests make."""

from pathlib import Path

import pytest

from support.pip_environment import pip

REPOSITORY = Path(__file__).resolve().parents[2]
BESIDE = ("azure-functions-durable<2", "azure-identity", "azure-storage-blob")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, REPOSITORY)
    (built,) = folder.glob("perdure-*.whl")
    return built


@pytest.fixture(scope="session")
def wheelhouse(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of perdure, the official packages and all that they need, newest versions."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    pip("download", "--quiet", "--only-binary", ":all:", "--dest", folder, wheel, *BESIDE)
    return folder
