"""What the source tree may not hold."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in (REPOSITORY / folder).rglob("*.py")]


def test_azure_stays_a_namespace_that_others_share():
    assert not (REPOSITORY / "sdks" / "azure" / "__init__.py").exists()
    assert not (REPOSITORY / "sdks" / "__init__.py").exists()


def test_tests_are_no_packages():
    found = (REPOSITORY / "tests").rglob("__init__.py")

    # Functions apps that tests run have such files where function.json names them.
    assert not [path for path in found if not any((folder / "host.json").exists() for folder in path.parents)]


def test_every_package_is_typed():
    sdks = REPOSITORY / "sdks"
    for package in (REPOSITORY / "src" / "perdure", sdks / "durabletask", sdks / "azure" / "durable_functions"):
        assert (package / "py.typed").is_file(), package


def test_no_file_is_named_after_nothing():
    """A name that fits everything says nothing. (In the SDKs some old import paths of the official ones are kept.)"""
    empty_words = {"util", "utils", "helper", "helpers", "manager", "common", "misc"}

    assert not [path for path in python_files("src") if empty_words & set(path.stem.split("_"))]


def test_every_module_says_what_it_holds():
    silent = [
        path.relative_to(REPOSITORY)
        for path in python_files("src")
        if path.stat().st_size and not path.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]

    assert not silent
