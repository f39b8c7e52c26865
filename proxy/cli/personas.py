"""`personas`: list them."""

import argparse

from proxy.cli.table import columns
from proxy.service import load_configuration

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print the personas, what each is for, and who may serve it."""
    policy = load_configuration().policy
    rows = [("PERSONA", "PROVIDERS, BEST FIRST", "WHAT FOR")]
    for name, persona in policy.personas.items():
        providers = ", ".join(
            preference.provider
            if preference.model is None
            else f"{preference.provider}/{preference.model}"
            for preference in persona.provider_preferences
        )
        rows.append((name, providers, persona.description))
    print(columns(rows))
    return 0
