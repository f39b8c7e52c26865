"""What is different in a policy that takes another's place, in names only."""

from collections.abc import Mapping

from policy.schema import Policy

__all__ = ["changes"]


def changes(before: Policy, after: Policy) -> str:
    """Return what changed, for a log: names of personas, providers and keys of the file.

    No value is told, nor whose the client keys are. Empty where nothing changed.
    """
    found = [
        *_of_rows("persona", before.personas, after.personas),
        *_of_rows("provider", before.providers, after.providers),
    ]
    rest = [
        name
        for name in Policy.model_fields
        if name not in ("personas", "providers") and getattr(before, name) != getattr(after, name)
    ]
    if rest:
        found.append(f"{', '.join(rest)} changed")
    if not found and list(before.personas) != list(after.personas):
        found.append("another order of personas")
    return "; ".join(found)


def _of_rows(kind: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    both = [name for name in after if name in before]
    groups = {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "changed": [name for name in both if before[name] != after[name]],
    }
    return [
        f"{kind}{'s' if len(names) > 1 else ''} {word}: {', '.join(names)}"
        for word, names in groups.items()
        if names
    ]
