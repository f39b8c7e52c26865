"""Installs the peers: LiteLLM from PyPI, Portkey's gateway from npm, nginx from Debian.

    python -m tests.benchmarks.peers.install [--into FOLDER] [--only litellm,portkey,nginx]

Pinned: LiteLLM with everything it needs (`litellm.txt`), Portkey's gateway by its version
(`portkey.json`); nginx is the one Debian has. What cannot be had is said, and does not keep the
others away; the status is 1 then.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.peers.found import PEERS_FOLDER, nginx_program, portkey_program

PINS = Path(__file__).with_name("litellm.txt")
PORTKEY = Path(__file__).with_name("portkey.json")
"""With a newer @hono/node-server than 1.14.1 its streams fail (its issue 1389)."""


class Missing(Exception):
    """A peer cannot be had here; the text says why, and what to do."""


def _run(command: Sequence[str], *, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )
    except subprocess.TimeoutExpired as error:
        raise Missing(f"`{' '.join(command)}` was not done after 15 minutes") from error
    if done.returncode != 0:
        last = "\n".join(f"    {line[:200]}" for line in done.stdout.splitlines()[-5:])
        raise Missing(f"`{' '.join(command)}` failed:\n{last}")


def litellm(folder: Path) -> str:
    """Install LiteLLM in a virtual environment; return what is there."""
    home = folder / "litellm"
    done = home / "installed.txt"
    if not done.exists() or done.read_text() != PINS.read_text():
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        # As pinned and nothing more: the package's own extra asks for what is not needed here.
        _run([*pip, "--disable-pip-version-check", "--no-deps", "-r", str(PINS)])
        done.write_text(PINS.read_text())
    return next(line for line in PINS.read_text().splitlines() if line.startswith("litellm=="))


def portkey(folder: Path) -> str:
    """Install Portkey's gateway with npm; return what is there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Missing("there is no node, or no npm (Debian: apt-get install nodejs npm)")
    home = folder / "portkey"
    asked, done = PORTKEY.read_text(), home / "package.json"
    if not done.exists() or done.read_text() != asked or portkey_program(folder) is None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "package.json").write_text(asked)
        # No scripts: nothing in it needs one, and a package's own code is not run to install it.
        _run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=home)
    return f"Portkey's gateway {json.loads(asked)['dependencies']['@portkey-ai/gateway']}"


def nginx(folder: Path) -> str:
    """Have nginx, from Debian; return what is there."""
    del folder  # Debian's packages have their own places.
    if nginx_program() is None:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise Missing("it takes root and apt-get: `apt-get install nginx-light`")
        command = ["apt-get", "install", "--yes", "--no-install-recommends", "nginx-light"]
        try:
            _run(command)
        except Missing:
            _run(["apt-get", "update"])
            _run(command)
    program = nginx_program()
    if program is None:
        raise Missing("it was installed, and is not on the path")
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    return said.stderr.strip()


INSTALLERS = {"litellm": litellm, "portkey": portkey, "nginx": nginx}


def main() -> int:
    """Install what is asked for; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, default=PEERS_FOLDER, metavar="FOLDER")
    parser.add_argument("--only", default=",".join(INSTALLERS), metavar="NAMES")
    options = parser.parse_args()
    names = options.only.split(",")
    for name in set(names) - INSTALLERS.keys():
        parser.error(f"there is no peer `{name}`; known are {', '.join(INSTALLERS)}")
    folder: Path = options.into.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    status = 0
    for name in names:
        print(f"{name}: …", flush=True)
        try:
            print(f"{name}: {INSTALLERS[name](folder)}")
        except Missing as missing:
            print(f"{name}: not installed. {missing}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
