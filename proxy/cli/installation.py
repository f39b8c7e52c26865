"""Refuses to run from an installation that another package has overwritten.

`proxy`, `translators` and `policy` are names of other packages, too. Installed into the same
environment, the later one silently replaces modules of the earlier.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import policy
import proxy
import translators
from proxy.environment import ConfigurationError

__all__ = ["RIVALS", "check_installation"]

RIVALS = ("proxy.py", "translators", "policy")
"""The distributions on PyPI that install one of our names. Looking each up costs a millisecond;
asking which distribution owns which file would cost a sixth of a second at every start."""


def check_installation() -> None:
    """Check that our packages are ours.

    Raises:
        ConfigurationError: A distribution that has one of our names is installed, or our
            packages do not lie side by side.
    """
    homes = {Path(str(module.__file__)).parent.parent for module in (proxy, policy, translators)}
    if len(homes) > 1:
        raise _clash("are not installed side by side: " + ", ".join(sorted(map(str, homes))))
    for rival in RIVALS:
        if _is_installed(rival):
            raise _clash(f"share names with the package `{rival}`, which is installed here, too")


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _clash(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The packages of Execution Platform {what}. It needs an environment of its own: "
        "`python3 -m venv somewhere && somewhere/bin/pip install execution-platform` "
        f"(this one is {sys.prefix})."
    )
