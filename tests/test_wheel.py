"""The wheel: what it holds, and that it works where only it is installed."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.guide import GUIDE, absent
from tests.recordings import recorded_folder

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with wheel and sdist; the wheel is built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def wheel_of(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


def test_its_packages_are_the_four_and_pytests_plugin(built: Path) -> None:
    names = zipfile.ZipFile(wheel_of(built)).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        *("proxy", "translators", "policy", "execution_platform", "execution_platform_pytest.py"),
    }
    assert not [name for name in names if name.startswith("proxy/inprocess")]
    for package in ("proxy", "translators", "policy", "execution_platform"):
        assert f"{package}/py.typed" in names
    assert "policy/persona_policy.yaml" in names
    assert "policy/capabilities.yaml" in names
    assert [name for name in names if name.startswith("policy/prompts/")]


def test_the_sdist_holds_the_tests_and_no_leftovers(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"README.md", "LICENSE", "Makefile", "deploy/requirements.txt"} <= set(names)
    assert "deploy/requirements-claude-agent.txt" in names
    assert [name for name in names if name.startswith("tests/")]
    assert not [name for name in names if name.endswith((".pyc", ".env"))]


@pytest.fixture(scope="module")
def target(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the wheel is installed, and nothing else.

    Its dependencies are seen through the interpreter that runs the tests; its own packages come
    from the wheel alone.
    """
    folder = tmp_path_factory.mktemp("installed") / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        + ["--target", str(folder), str(wheel_of(built))],
        check=True,
        timeout=120,
    )
    return folder


def environment_of(target: Path) -> dict[str, str]:
    environment = {name: v for name, v in os.environ.items() if not name.startswith("EP_")}
    return {**environment, "PYTHONPATH": str(target)}


FROM_THE_WHEEL = (
    "import execution_platform, policy, proxy, translators, sys;"
    "assert all(m.__file__.startswith(sys.argv[1]) for m in "
    "(execution_platform, policy, proxy, translators));"
)


def test_it_runs_where_only_it_is_installed(target: Path, tmp_path: Path) -> None:
    environment = environment_of(target)
    code = FROM_THE_WHEEL + (
        "from execution_platform.quality_fabric import QualityFabricClient, TestResult;"
        "import execution_platform_pytest;"
        "from proxy.cli.main import main; sys.exit(main(['personas']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "architect" in done.stdout
    script = subprocess.run(
        [sys.executable, str(target / "bin" / "execution-platform"), "--version"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert script.stdout.strip() == "0.1.0", script.stderr


def test_the_integration_guide_runs_where_only_it_is_installed(
    target: Path, tmp_path: Path
) -> None:
    if not GUIDE.is_file():
        pytest.skip(absent())
    # The tests alone, without the checkout that they came from.
    tests = tmp_path / "tests"
    shutil.copytree(ROOT / "tests" / "inprocess", tests / "inprocess")
    for path in [*(ROOT / "tests").glob("*.py"), *(ROOT / "tests").glob("*.yaml")]:
        shutil.copy(path, tests)
    code = FROM_THE_WHEEL + "import pytest; sys.exit(pytest.main(sys.argv[2:]))"
    chosen = [str(path) for path in sorted((tests / "inprocess").glob("test_guide*.py"))]
    done = subprocess.run(
        [sys.executable, "-c", code, str(target), "-q", "-W", "error", "-p", "no:cacheprovider"]
        + ["-c", os.devnull, "--rootdir", str(tmp_path), *chosen],
        cwd=tmp_path,
        env={
            **environment_of(target),
            "EP_SANDBOX": "1",
            "EP_RECORDED_TRAFFIC": str(recorded_folder()),
        },
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
