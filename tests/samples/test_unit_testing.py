import shutil
import subprocess
import sys

from support.host_process import REPOSITORY, checkout_environment


def test_the_samples_own_tests_pass_without_a_host(tmp_path):
    app = shutil.copytree(REPOSITORY / "samples" / "unit_testing", tmp_path / "app")
    environment = checkout_environment()
    environment["PYTHONPATH"] += f":{REPOSITORY / 'sdks'}"

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=app,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 passed" in ended.stdout


def test_and_the_app_runs(start_sample):
    host = start_sample("unit_testing")

    paid = host.completed(host.start_instance("/api/baskets/b1", ["tea", "cake"]))
    dear = host.completed(host.start_instance("/api/baskets/b2", ["x" * 101]))

    assert (paid["output"], dear["output"]) == ("paid 7", "not paid")
