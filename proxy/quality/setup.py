"""Settings to gates and an open store: the same for the service and for the embedded form."""

import os
from collections.abc import Mapping
from pathlib import Path

from policy.errors import PolicyError
from policy.quality_gates import DEFAULT_GATES, Gate, parse_gates
from proxy.quality.fabric import Fabric
from proxy.quality.store import Store

__all__ = ["default_database", "open_fabric", "read_gates"]


def default_database(environ: Mapping[str, str] | None = None) -> Path:
    """Return the file where none is named: in the folder for what programs remember of a user.

    `$XDG_STATE_HOME`, else `~/.local/state` (XDG Base Directory Specification 0.8; a relative path
    there counts as unset).

    Args:
        environ: None: the process's environment.
    """
    named = Path((os.environ if environ is None else environ).get("XDG_STATE_HOME", ""))
    state = named if named.is_absolute() else Path.home() / ".local" / "state"
    return state / "execution-platform" / "quality.db"


def read_gates(path: Path | None) -> Mapping[str, Gate]:
    """Return the gates of a file; the shipped ones where there is none.

    Raises:
        PolicyError: The file cannot be read, or is wrong.
    """
    if path is None:
        return DEFAULT_GATES
    remedy = "Name an existing file with EP_QUALITY_GATES."
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeError:
        raise PolicyError(
            str(path), problem="the file is not UTF-8 text", remedy="Save it as UTF-8."
        ) from None
    except OSError as error:
        problem = f"the file cannot be read ({error.strerror})"
        raise PolicyError(str(path), problem=problem, remedy=remedy) from None
    return parse_gates(text, str(path))


def open_fabric(database: Path | None, gates: Mapping[str, Gate]) -> Fabric:
    """Open the store; to be closed by the caller.

    Args:
        database: None: `default_database()`.
        gates: In force.

    Raises:
        QualityStoreError: The file cannot be used.
    """
    return Fabric(Store(default_database() if database is None else database), gates)
