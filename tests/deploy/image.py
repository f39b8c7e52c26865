"""Builds and runs `deploy/Dockerfile` without a container engine, as root on Linux.

Each stage is an overlay over this machine's root file system, in a mount namespace of its own: what
a step writes lands in a folder, and the machine stays as it is. Steps run by their own words, with
their own absolute paths, below `chroot`. What differs from an engine:

* The base is not `python:…-slim`: it is this machine's system, with the interpreter that runs the
  tests where that image has it, in `/usr/local`, and empty folders where homes, temporary files and
  this checkout are. That the named base has what is used here (`sh`, `useradd`) is not shown.
* `PIP_…` variables of this machine reach the build: they say which index is reachable.
* A cache mount is this machine's cache of pip.
* There is no network namespace and no process namespace: ports are the machine's.

The server runs as the image's user, without capabilities and unable to get any, on a root file
system that is read-only, with `/tmp` in memory: what compose.yaml and the chart ask an engine for.
"""

import functools
import json
import os
import re
import shlex
import shutil
import string
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

from tests.serving import ROOT

__all__ = ["Stage", "build", "image_missing", "instructions"]

DOCKERFILE = ROOT / "deploy" / "Dockerfile"

_BASE_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    # Python's own library, where it is one, else another interpreter's is found.
    "LD_LIBRARY_PATH": "/usr/local/lib",
}

_HIDDEN = sorted(
    {"/tmp", "/root", "/home", *("/" + p.parts[1] for p in (ROOT, Path(sys.prefix)))}
    - {"/usr", "/opt"}
)

_ENTER = """\
set -e
mkdir -p "$EP_WORK/$$"
mount -t overlay overlay -o "lowerdir=/,upperdir=$EP_UPPER,workdir=$EP_WORK/$$" "$EP_ROOT"
mount --bind "$EP_PYTHON" "$EP_ROOT/usr/local"
[ -z "$EP_READ_ONLY" ] || mount -o remount,ro "$EP_ROOT"
if [ -n "$EP_CACHE" ]; then exec 9<"$EP_CACHE"; fi
for folder in $EP_HIDDEN; do mount -t tmpfs -o mode=1777 tmpfs "$EP_ROOT$folder"; done
if [ -n "$EP_CACHE" ]; then
    mkdir -p "$EP_ROOT$EP_CACHE_TARGET"
    mount --bind /proc/self/fd/9/. "$EP_ROOT$EP_CACHE_TARGET"
    exec 9<&-
fi
for folder in proc dev; do mount --rbind "/$folder" "$EP_ROOT/$folder"; done
exec chroot "$EP_ROOT" "$@"
"""
"""Where the arguments run. A server and its health check are there at once: each has a work folder
of its own, or the second to come would take the first one's away. The cache is opened before what
it may lie in is hidden."""


@functools.cache
def image_missing() -> str | None:
    """Return what keeps images from being built here; None where nothing does."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "steps of the Dockerfile are run below chroot: that takes root, on Linux"
    if shutil.which("setpriv") is None or shutil.which("unshare") is None:
        return "there is no unshare or setpriv here (Debian: util-linux)"
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, capture_output=True, timeout=30).returncode != 0:
        return "this process may not mount anything"
    pip = [str(_interpreter()), "-m", "pip", "--version"]
    if subprocess.run(pip, capture_output=True, timeout=60).returncode != 0:
        return f"the interpreter {_interpreter()} has no pip, as the image's has"
    return None


def _interpreter() -> Path:
    return Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")


def instructions(path: Path = DOCKERFILE) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions with what follows them, continued lines joined."""
    return [
        (step["instruction"], step["value"])
        for step in DockerfileParser(str(path)).structure
        if step["instruction"] != "COMMENT"
    ]


@dataclass
class Stage:
    """A stage, or the image where it is the last.

    Attributes:
        folder: Where its files, and what mounts need, are kept.
        environment: Its `ENV`, over the base's.
        arguments: Its `ARG`.
        directory: Its `WORKDIR`.
        said: What it says for those who run it, by instruction.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(_BASE_ENVIRONMENT))
    arguments: dict[str, str] = field(default_factory=dict[str, str])
    directory: str = "/"
    said: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        for name in ("files", "work", "root"):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name).chmod(0o755)

    @property
    def command(self) -> list[str]:
        """What runs where nothing else is asked for."""
        return [*json.loads(self.said["ENTRYPOINT"]), *json.loads(self.said["CMD"])]

    @property
    def healthcheck(self) -> list[str]:
        """What asks whether that is well."""
        return json.loads(self.said["HEALTHCHECK"].partition("CMD")[2])

    @property
    def files(self) -> Path:
        """The folder of what this stage has beyond the base, as its root directory."""
        return self.folder / "files"

    def path(self, name: str) -> Path:
        """Return where a file of the stage is kept; relative names are below `WORKDIR`."""
        return self.files / os.path.normpath(os.path.join(self.directory, name)).lstrip("/")

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], **how: Any
    ) -> subprocess.Popen[str]:
        """Start a command as an engine does in a container that is read-only.

        Args:
            arguments: The command.
            environment: Variables over the image's.
            how: For `subprocess.Popen`.
        """
        uid, gid = self.said["USER"].split(":")
        drop = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"]
        drop += ["--bounding-set", "-all", "--inh-caps", "-all"]
        inner = self._inner({**self.environment, **environment}, arguments)
        return subprocess.Popen(
            _namespace([*drop, *inner]),
            env=self._mounts(read_only=True),
            stdin=subprocess.DEVNULL,
            text=True,
            **how,
        )

    def step(self, instruction: str, value: str) -> None:
        """Do an instruction that is about this stage alone."""
        match instruction:
            case "ARG":
                self.arguments |= _pairs(value, self.arguments)
            case "ENV":
                self.environment |= _pairs(value, self.environment)
            case "RUN":
                self._run(value)
            case "WORKDIR":
                self.directory = value
                self.path(".").mkdir(parents=True, exist_ok=True)
            case "USER" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD" | "STOPSIGNAL" | "LABEL" | "EXPOSE":
                self.said[instruction] = value
            case _:
                raise AssertionError(f"{instruction} is not known here: {value}")

    def _run(self, value: str) -> None:
        mount = re.match(r"--mount=type=cache,target=(\S+)\s+", value)
        cache, script = (mount[1], value[mount.end() :]) if mount else ("", value)
        passed = {name: v for name, v in os.environ.items() if name.startswith("PIP_")}
        done = subprocess.run(
            _namespace(
                self._inner(
                    {**passed, **self.environment, **self.arguments, "HOME": "/root"},
                    ["/bin/sh", "-c", script],
                )
            ),
            env=self._mounts(cache=cache),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"RUN {script}\n{done.stdout}{done.stderr}"

    def _inner(self, environment: Mapping[str, str], arguments: Sequence[str]) -> list[str]:
        pairs = [f"{name}={value}" for name, value in environment.items()]
        return ["env", "-i", f"--chdir={self.directory}", *pairs, *arguments]

    def _mounts(self, *, read_only: bool = False, cache: str = "") -> dict[str, str]:
        return {
            **_BASE_ENVIRONMENT,
            "EP_UPPER": str(self.files),
            "EP_WORK": str(self.folder / "work"),
            "EP_ROOT": str(self.folder / "root"),
            "EP_PYTHON": sys.base_prefix,
            "EP_HIDDEN": " ".join(_HIDDEN),
            "EP_READ_ONLY": "yes" if read_only else "",
            "EP_CACHE": str(_pip_cache()) if cache else "",
            "EP_CACHE_TARGET": cache,
        }


def _namespace(arguments: Sequence[str]) -> list[str]:
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", *arguments]


def _pip_cache() -> Path:
    asked = [str(_interpreter()), "-m", "pip", "cache", "dir"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    folder = Path(said.strip().splitlines()[-1])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build(folder: Path, context: Path = ROOT, **arguments: str) -> Stage:
    """Build the image.

    Args:
        folder: An empty one for it.
        context: What `COPY` takes from.
        arguments: Build arguments.
    """
    stages: dict[str, Stage] = {}
    everywhere: dict[str, str] = {}
    stage: Stage | None = None
    for instruction, value in instructions():
        if instruction == "FROM":
            _base, _as, name = value.split()
            stage = stages[name] = Stage(folder / name)
        elif stage is None:
            assert instruction == "ARG", f"{instruction} before the first stage"
            everywhere |= _pairs(value, {})
        else:
            if instruction == "COPY":
                _copy(stage, value, stages, context)
            else:
                stage.step(instruction, value)
            stage.arguments |= {n: v for n, v in arguments.items() if n in stage.arguments}
    assert stage is not None and set(arguments) <= {*everywhere, "EXTRAS"}
    return stage


def _pairs(value: str, known: Mapping[str, str]) -> dict[str, str]:
    words = (word.partition("=") for word in shlex.split(value))
    return {name: string.Template(text).substitute(known) for name, _, text in words}


def _copy(stage: Stage, value: str, stages: Mapping[str, Stage], context: Path) -> None:
    origin = re.fullmatch(r"--from=(\w+) (.*)", value)
    *sources, target = shlex.split(origin[2] if origin else value)
    for source in sources:
        found = stages[origin[1]].path(source) if origin else context / source
        to = stage.path(target)
        if found.is_dir():
            ignored = shutil.ignore_patterns() if origin else _ignored()
            shutil.copytree(found, to, symlinks=True, ignore=ignored, dirs_exist_ok=True)
            continue
        if len(sources) > 1 or target.endswith("/"):
            to = to / found.name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found, to)


def _ignored() -> Callable[[Any, list[str]], set[str]]:
    lines = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    return shutil.ignore_patterns(*(line[3:] for line in lines if line.startswith("**/")))
