"""Which SDK an import finds, on layouts of site-packages made for the test: no real SDK is needed to choose one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PERDURE = Path(__file__).resolve().parents[2] / "src" / "perdure"

OFFICIAL = "azure/durable_functions/__init__.py"
OURS = "perdure_sdks/azure/durable_functions/__init__.py"
METADATA = "Metadata-Version: 2.1\nName: azure-functions-durable\nVersion: 1.7.0\n"


class Site:
    """A folder that stands for site-packages; files are given as path=content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "perdure").mkdir(parents=True)
        for name in ("__init__.py", "sdks.py"):
            shutil.copy(PERDURE / name, folder / "perdure" / name)
        self.write("perdure_sdks/azure/durable_functions/models/__init__.py", "whose = 'ours'")
        self.write(OURS, "whose = 'ours'\nclass DFApp: ...")

    def write(self, name: str, content: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")

    def install_official(self) -> None:
        self.write(OFFICIAL, "whose = 'official'\nclass DFApp: ...")
        self.write("azure/durable_functions/models/__init__.py", "whose = 'official'")
        self.write("azure_functions_durable-1.7.0.dist-info/METADATA", METADATA)

    def run(self, program: str, *more_paths: Path) -> str:
        """What the program prints, in an interpreter that sees nothing but this site and the paths after it."""
        paths = os.pathsep.join(map(str, [self.folder, *more_paths]))
        result = subprocess.run(
            [sys.executable, "-S", "-c", program],
            env={"PYTHONPATH": paths, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        return result.stdout.strip() if result.returncode == 0 else result.stderr.strip().splitlines()[-1]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site-packages")


PREFERRED = "from perdure.sdks import prefer_ours; prefer_ours(); "


def test_plain_python_finds_ours_behind_everything_else(site):
    last = site.folder / "perdure_sdks"

    assert site.run("import azure.durable_functions as df; print(df.whose)", last) == "ours"
    site.install_official()
    assert site.run("import azure.durable_functions as df; print(df.whose)", last) == "official"


@pytest.mark.parametrize("namespace", [None, "", "__path__ = __import__('pkgutil').extend_path(__path__, __name__)"])
def test_preferred_ours_is_whole_whatever_stands_beside_it(site, namespace):
    """Also where an old package makes ``azure`` a regular package, with or without the pkgutil line."""
    site.install_official()
    if namespace is not None:
        site.write("azure/__init__.py", namespace)

    program = "import azure.durable_functions as df, azure.durable_functions.models as m; print(df.whose, m.whose)"

    assert site.run(PREFERRED + program) == "ours ours"


def test_without_a_pth_line_the_choice_still_finds_ours(site):
    """As after ``pip install --target``: somebody else brings ``azure``, nobody puts our folder on the path."""
    site.write("azure/functions/__init__.py", "")

    assert site.run(PREFERRED + "import azure.durable_functions as df; print(df.whose)") == "ours"


def test_both_packages_are_ours_or_neither(site):
    site.write("perdure_sdks/durabletask/__init__.py", "whose = 'ours'")
    site.write("durabletask/__init__.py", "whose = 'official'")

    assert site.run(PREFERRED + "import durabletask; print(durabletask.whose)") == "ours"
    assert "durabletask was already imported" in site.run("import durabletask; " + PREFERRED)


def test_our_functions_package_brings_our_portable_one(site):
    """Plain Python, an official durabletask first on the path."""
    sdks = PERDURE.parents[1] / "sdks"
    own = sdks / "azure" / "durable_functions" / "portable_family.py"
    site.write("perdure_sdks/azure/durable_functions/portable_family.py", own.read_text())
    site.write(OURS, "import azure.durable_functions.portable_family\nimport durabletask\nwhose = durabletask.whose")
    site.write("perdure_sdks/durabletask/__init__.py", "whose = 'ours'")
    site.write("durabletask/__init__.py", "whose = 'official'")

    answer = site.run("import azure.durable_functions as df; print(df.whose)", site.folder / "perdure_sdks")

    assert answer == "ours"


def test_other_names_are_left_alone(site):
    site.write("azure/functions/__init__.py", "whose = 'theirs'")
    site.write("durabletask/__init__.py", "whose = 'theirs'")

    program = "import azure.functions, durabletask; print(azure.functions.whose, durabletask.whose)"

    assert site.run(PREFERRED + program) == "theirs theirs"


def test_choosing_twice_adds_one_finder(site):
    program = "prefer_ours(); import sys; print(sum(type(f).__module__ == 'perdure.sdks' for f in sys.meta_path))"

    assert site.run(PREFERRED + program) == "1"


def test_choosing_after_ours_was_imported_is_fine(site):
    program = "import azure.durable_functions as df; " + PREFERRED + "print(df.whose)"

    assert site.run(program, site.folder / "perdure_sdks") == "ours"


@pytest.mark.parametrize(
    "statement", ["import azure.durable_functions as df", "from azure.durable_functions import DFApp"]
)
def test_an_official_package_imported_too_early_is_refused_by_name(site, statement):
    site.install_official()
    site.write("early_bird.py", statement)

    answer = site.run("import early_bird; " + PREFERRED)

    assert answer.startswith(
        "perdure.sdks.SdkAlreadyImported: azure.durable_functions was already imported by early_bird"
    )
    assert str(site.folder / OFFICIAL) in answer
    assert "azure-functions-durable 1.7.0" in answer


def test_the_start_log_line_tells_what_serves_and_what_stands_beside(site):
    program = "from perdure.sdks import describe; print(describe())"
    version = site.run("import perdure; print(perdure.__version__)")

    assert site.run(program) == f"SDK: perdure {version} serves azure.durable_functions"
    site.install_official()
    assert site.run(program) == (
        f"SDK: perdure {version} serves azure.durable_functions "
        "(azure-functions-durable 1.7.0 is installed too and untouched)"
    )


def test_a_checkout_serves_from_its_own_folder(site):
    """``src/perdure`` beside ``sdks``, as an editable install has it."""
    source = site.folder.parent / "checkout" / "src"
    source.mkdir(parents=True)
    (site.folder / "perdure").rename(source / "perdure")
    (site.folder / "perdure_sdks").rename(source.parent / "sdks")

    program = "from perdure.sdks import sdk_folder; print(sdk_folder())"

    assert site.run(program, source) == str(source.parent / "sdks")


def test_a_broken_installation_says_how_to_mend_it(site):
    shutil.rmtree(site.folder / "perdure_sdks")

    assert "pip install --force-reinstall perdure" in site.run(PREFERRED)
