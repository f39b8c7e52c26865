"""Documents to a checked `Policy`: all that is wrong is reported at once, each with its line."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from pydantic import Field

from policy.caching import CacheRule, ResponseCacheRow
from policy.checked import validated
from policy.document import Document, KeyPath, overlay
from policy.errors import PolicyError, raise_all
from policy.live_gate_rules import LiveGateRules
from policy.media import MediaRules
from policy.parameters import PARAMETERS
from policy.prices import Prices
from policy.providers import ModelRow, ProviderRow, Timeouts
from policy.quality_gates import Gate
from policy.rows import Capabilities, Row, has_secret
from policy.schema import ClientKey, Persona, Policy, Preference, ReasoningStoreRow
from policy.spelling import did_you_mean, listed

__all__ = ["CapabilityTable", "ReadPrompt", "build", "capability_table", "merged"]

ReadPrompt = Callable[[str], str]
"""Reads a prompt file, named relative to the policy file; raises OSError or ValueError."""


class CapabilityTable(Row):
    """`capabilities.yaml`: what a provider can do whose row does not say.

    Attributes:
        providers: By the provider's name.
        dialects: By dialect, for providers that have no line of their own.
    """

    providers: dict[str, Capabilities] = Field(default_factory=dict[str, Capabilities])
    dialects: dict[str, Capabilities] = Field(default_factory=dict[str, Capabilities])

    def of(self, provider: str, dialect: object) -> tuple[str, ...] | None:
        """Return the capabilities of a provider; None where the table has none for it."""
        return self.providers.get(provider) or self.dialects.get(str(dialect))


def capability_table(document: Document) -> CapabilityTable:
    """Check `capabilities.yaml`.

    Raises:
        PolicyError: It is wrong.
    """
    table, errors = validated(CapabilityTable, document, document.data, {}, _near_key)
    if table is None:
        raise_all(errors)
    return cast("CapabilityTable", table)


# Tables in a provider's row whose entries are merged one by one.
_MERGED = ("timeouts", "headers", "query", "models", "prices")


def merged(shipped: Document, own: Document) -> Document:
    """Return one's own file over the shipped one.

    Rows of `providers` are merged key by key, so a file may change one key of a row. Everything
    else, `personas` above all, is taken whole from the own file where it is there.
    """
    data = {**shipped.data, **own.data}
    base, top = _mapping(shipped.data.get("providers")), _mapping(own.data.get("providers"))
    if base is not None and top is not None:
        data["providers"] = {
            **base,
            **{name: _merged_row(base.get(name), row) for name, row in top.items()},
        }
    return overlay(shipped, own, data, _is_merged)


def _is_merged(path: KeyPath) -> bool:
    depth = len(path)
    return path[0] == "providers" and (depth < 3 or (depth == 3 and path[2] in _MERGED))


def _merged_row(base: Any, top: Any) -> Any:
    below, above = _mapping(base), _mapping(top)
    if below is None or above is None:
        return top
    row = {**below, **above}
    for name in _MERGED:
        inner, outer = _mapping(below.get(name)), _mapping(above.get(name))
        if inner is not None and outer is not None:
            row[name] = {**inner, **outer}
    return row


def _mapping(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def build(document: Document, *, capabilities: CapabilityTable, read_prompt: ReadPrompt) -> Policy:
    """Check a document and make the policy of it.

    Args:
        document: The shipped file, or one's own over it.
        capabilities: For provider rows that name none.
        read_prompt: Reads the files that `system_prompt_file` names.

    Raises:
        PolicyError: Something is wrong; `errors` has all that was found.
    """
    errors = list(_secrets(document))
    errors += _bad_names(document)
    personas, prompt_errors = _with_prompts(document, read_prompt)
    errors += prompt_errors
    data = dict(document.data)
    if "personas" in data:
        data["personas"] = personas
    if "providers" in data:
        data["providers"] = _with_capabilities(data["providers"], capabilities)
    context = {kind: _names(data.get(kind, {})) for kind in ("providers", "personas")}
    policy, found = validated(Policy, document, data, context, _near_key)
    # One place may be refused for two reasons; the first, which knows more, is enough.
    places = {(error.source, error.line, error.key) for error in errors}
    errors += [e for e in found if (e.source, e.line, e.key) not in places]
    if policy is not None:
        errors += _cached_agents(document, policy)
    raise_all(errors)
    return cast("Policy", policy)


def _cached_agents(document: Document, policy: Policy) -> Iterator[PolicyError]:
    """Agents' answers are told of what was done for them, which telling them again does not do."""
    for name, persona in policy.personas.items():
        for preference in persona.provider_preferences:
            if persona.cache is not None and policy.providers[preference.provider].agent:
                problem = f"`{preference.provider}` is an agent, whose answers are not kept"
                remedy = "Leave `cache` out, or prefer providers that run no tools."
                yield document.error(("personas", name, "cache"), problem, remedy)


def _names(section: Any) -> frozenset[str] | None:
    """Return the names a section defines; None where it is no mapping, which is error enough."""
    rows = _mapping(section)
    return None if rows is None else frozenset(rows)


def _with_capabilities(providers: Any, table: CapabilityTable) -> Any:
    rows = _mapping(providers)
    if rows is None:
        return providers
    completed: dict[str, Any] = {}
    for name, value in rows.items():
        row = _mapping(value)
        default = None if row is None else table.of(name, row.get("dialect"))
        if row is None or default is None or "capabilities" in row:
            completed[name] = value
        else:
            completed[name] = {**row, "capabilities": list(default)}
    return completed


def _with_prompts(document: Document, read: ReadPrompt) -> tuple[Any, list[PolicyError]]:
    personas = _mapping(document.data.get("personas"))
    if personas is None:
        return document.data.get("personas"), []
    errors: list[PolicyError] = []
    completed: dict[str, Any] = {}
    for name, value in personas.items():
        completed[name] = value
        row = _mapping(value)
        file = None if row is None else row.get("system_prompt_file")
        if row is None or not isinstance(file, str) or has_secret(file):
            continue
        place = ("personas", name, "system_prompt_file")
        if "system_prompt" in row:
            problem = "there is a `system_prompt` as well"
            errors.append(document.error(place, problem, "Keep one of the two."))
            continue
        try:
            prompt = read(file)
        except (OSError, ValueError) as error:
            errors.append(document.error(place, *_unreadable(file, error)))
            continue
        if not prompt.strip():
            errors.append(document.error(place, f"the file `{file}` is empty"))
            continue
        completed[name] = {**row, "system_prompt": prompt}
    return completed, errors


def _unreadable(file: str, error: OSError | ValueError) -> tuple[str, str]:
    if isinstance(error, UnicodeError):
        return f"the file `{file}` is not UTF-8 text", "Save it as UTF-8."
    why = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be named"
    return (
        f"cannot read the file `{file}` ({why})",
        "The name is relative to the folder of the policy file.",
    )


_NAME_REMEDY = "Use letters, digits, `.`, `_` and `-`, beginning with a letter or a digit."


def _bad_names(document: Document) -> Iterator[PolicyError]:
    """Names travel in response headers, and `/` parts a provider from a model."""
    for section in ("providers", "personas"):
        for name in _mapping(document.data.get(section)) or ():
            bare = name.replace(".", "").replace("_", "").replace("-", "")
            if not (bare.isascii() and bare.isalnum() and name[0].isalnum()):
                yield document.error((section, name), "this cannot be a name", _NAME_REMEDY)


_SECRET_REMEDY = "Put it in an environment variable and name that in `api_key_env`."  # noqa: S105
_KEY_NAMES = frozenset({"api_key", "apikey", "api-key", "key", "token", "secret", "password"})


def _secrets(document: Document) -> Iterator[PolicyError]:
    """Keys written into the file; their values are never repeated."""
    yield from _secrets_below(document, document.data, ())


def _secrets_below(document: Document, value: Any, path: KeyPath) -> Iterator[PolicyError]:
    if isinstance(value, str):
        if has_secret(value):
            yield document.error(path, "this looks like a key", _SECRET_REMEDY)
        return
    if isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            yield from _secrets_below(document, item, (*path, index))
        return
    for key, item in (_mapping(value) or {}).items():
        if len(path) == 2 and path[0] == "providers" and key.lower() in _KEY_NAMES:
            problem = "a key does not belong in the policy file"
            yield document.error((*path, key), problem, _SECRET_REMEDY)
        else:
            yield from _secrets_below(document, item, (*path, key))


_MODELS: Mapping[tuple[str, ...], type[Row]] = {
    (): Policy,
    ("providers", "*"): ProviderRow,
    ("providers", "*", "timeouts"): Timeouts,
    ("providers", "*", "models", "*"): ModelRow,
    ("providers", "*", "prices", "*"): Prices,
    ("personas", "*"): Persona,
    ("personas", "*", "provider_preferences", "*"): Preference,
    ("personas", "*", "cache"): CacheRule,
    ("client_keys", "*"): ClientKey,
    ("media",): MediaRules,
    ("live_gates",): LiveGateRules,
    ("live_gates", "gates", "*"): Gate,
    ("reasoning_store",): ReasoningStoreRow,
    ("response_cache",): ResponseCacheRow,
}


def _near_key(path: KeyPath) -> str:
    """Return what an unknown key was probably meant to be."""
    parent = path[:-1]
    known: frozenset[str] = frozenset()
    if len(parent) == 3 and (parent[0], parent[2]) == ("personas", "parameters"):
        known = PARAMETERS
    for pattern, model in _MODELS.items():
        if len(pattern) == len(parent) and all(
            step in ("*", there) for step, there in zip(pattern, parent, strict=True)
        ):
            known = frozenset(model.model_fields)
    return did_you_mean(str(path[-1]), known) or (
        f"The keys here are {listed(sorted(known))}." if known else "Remove it."
    )
