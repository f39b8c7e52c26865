"""The wheel: what it holds, and that it works where only it is installed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

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
    assert [name for name in names if name.startswith("tests/")]
    assert not [name for name in names if name.endswith((".pyc", ".env"))]


def test_it_runs_where_only_it_is_installed(built: Path, tmp_path: Path) -> None:
    # Its dependencies are seen through the interpreter that runs the tests; its own packages
    # come from the wheel alone.
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        + ["--target", str(target), str(wheel_of(built))],
        check=True,
        timeout=120,
    )
    environment = {name: v for name, v in os.environ.items() if not name.startswith("EP_")}
    environment["PYTHONPATH"] = str(target)
    code = (
        "import execution_platform, policy, proxy, translators, sys;"
        "assert all(m.__file__.startswith(sys.argv[1]) for m in "
        "(execution_platform, policy, proxy, translators));"
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
