"""What the built packages hold: everything, and nothing that could overwrite a file of another package."""

import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sources(folder: Path, installed_as: str) -> set[str]:
    """The files of a source folder under the names that the wheel gives them."""
    return {installed_as + file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_it_installs_three_names_at_the_top_and_no_azure_among_them(names, wheel):
    version = wheel.name.split("-")[1]

    assert {name.split("/")[0] for name in names} == {
        "perdure",
        "perdure_sdks",
        "perdure_sdks.pth",
        f"perdure-{version}.dist-info",
    }


def test_the_sdk_folder_is_no_package_and_azure_in_it_no_regular_one(names):
    assert "perdure_sdks/__init__.py" not in names
    assert "perdure_sdks/azure/__init__.py" not in names
    assert "perdure_sdks/azure/durable_functions/__init__.py" in names
    assert "perdure_sdks/azure/durable_functions/py.typed" in names


def test_the_pth_file_is_one_plain_path_line(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("perdure_sdks.pth") == b"perdure_sdks\n"


def test_every_source_file_is_in_it_and_nothing_else(names, checkout):
    shipped = {name for name in names if name.startswith(("perdure/", "perdure_sdks/"))}

    assert shipped == sources(checkout / "src" / "perdure", "perdure/") | sources(checkout / "sdks", "perdure_sdks/")


def test_requirements_have_lower_bounds_only(wheel):
    """Dependencies live in the user's environment: nothing of ours may hold one of theirs back."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        requirements = message_from_bytes(archive.read(metadata)).get_all("Requires-Dist") or []

    runtime = [requirement for requirement in requirements if "extra ==" not in requirement]
    assert runtime
    assert not [text for text in runtime if not re.fullmatch(r"[a-z-]+>=[\d.]+(; .+)?", text)]


def test_the_source_archive_builds_the_same_wheel(wheel, checkout, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build"]
    subprocess.run([*build, "-t", "sdist", "-d", tmp_path], cwd=checkout, capture_output=True, check=True)
    (archive,) = tmp_path.glob("perdure-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    unpacked = tmp_path / archive.name.removesuffix(".tar.gz")

    subprocess.run([*build, "-t", "wheel", "-d", tmp_path], cwd=unpacked, capture_output=True, check=True)

    (rebuilt,) = tmp_path.glob("perdure-*.whl")
    with zipfile.ZipFile(rebuilt) as ours, zipfile.ZipFile(wheel) as first:
        assert sorted(ours.namelist()) == sorted(first.namelist())
    for needed in (
        "Makefile",
        ".importlinter",
        ".ci/run",
        "tests/conftest.py",
        "samples/hello_cities/host.json",
        "docs",
    ):
        assert (unpacked / needed).exists(), needed
