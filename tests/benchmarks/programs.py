"""The upstream and the load generator: ours in C, built here, or in Python where no compiler is."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
WIRE = HERE / "wire"
_SOURCES = {
    "upstream": ("upstream.c", "connection.c", "wire.c"),
    "load": ("load.c", "response.c"),
}
_FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")


@dataclass(frozen=True)
class Programs:
    """How the two are started.

    Attributes:
        upstream: The command, options come after it.
        load: The same.
        warning: Why the figures cannot be compared with others'; empty where they can.
    """

    upstream: tuple[str, ...]
    load: tuple[str, ...]
    warning: str = ""


def compiler() -> str | None:
    """Return the C compiler: `$CC`, else `cc`; None: there is none."""
    return shutil.which(os.environ.get("CC") or "cc")


def build(folder: Path, *, native: bool = True) -> Programs:
    """Return the programs, built in `folder` where they are not yet.

    Args:
        folder: Made where it is missing.
        native: False: the Python forms, whatever there is.

    Raises:
        RuntimeError: The compiler does not take the sources; the text has what it said.
    """
    cc = compiler() if native else None
    if cc is None:
        why = "there is no C compiler here" if native else "asked for by --no-native"
        return Programs(
            upstream=(sys.executable, "-m", "tests.benchmarks.asyncio_upstream"),
            load=(sys.executable, "-m", "tests.benchmarks.asyncio_load"),
            warning=f"upstream and load generator in Python ({why}): their own time is in each "
            "latency and limits the throughput; only CPU figures mean something",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in _SOURCES:
        _compile(cc, name, folder / name)
    return Programs(upstream=(str(folder / "upstream"),), load=(str(folder / "load"),))


def _compile(cc: str, name: str, to: Path) -> None:
    native = HERE / "native"
    newest = max(path.stat().st_mtime for path in native.iterdir())
    if to.exists() and to.stat().st_mtime > newest:
        return
    # Put in place when it is whole: another run may be starting the old one.
    beside = to.with_suffix(f".{os.getpid()}")
    sources = [str(native / source) for source in _SOURCES[name]]
    done = subprocess.run(
        [cc, *_FLAGS, "-o", str(beside), *sources], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{cc} does not compile {name}:\n{done.stderr}")
    beside.replace(to)
