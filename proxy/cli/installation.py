"""Refuses to run from an installation that another package has overwritten.

`proxy`, `translators` and `policy` are names of other packages, too. Installed into the same
environment, the later one silently replaces modules of the earlier.
"""

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import policy
import proxy
import translators
from proxy.environment import ConfigurationError

__all__ = ["check_installation"]

OURS = "execution-platform"
NAMES = ("proxy", "translators", "policy", "execution_platform")


def check_installation() -> None:
    """Check that our packages are ours.

    Raises:
        ConfigurationError: Another distribution has one of our names, or they do not lie
            side by side.
    """
    homes = {Path(str(module.__file__)).parent.parent for module in (proxy, policy, translators)}
    if len(homes) > 1:
        raise _clash("are not installed side by side: " + ", ".join(sorted(map(str, homes))))
    installed = packages_distributions()
    for name in NAMES:
        others = sorted(set(installed.get(name, ())) - {OURS})
        if others:
            raise _clash(f"are shared with another package: {', '.join(others)} has `{name}`")


def _clash(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The packages of Execution Platform {what}. It needs an environment of its own: "
        f"`python3 -m venv somewhere && somewhere/bin/pip install {OURS}` "
        f"(this one is {sys.prefix})."
    )
