"""A caller's own choice of model, within what the policy offers.

The persona stays as it is: its prompt, its parameters and what it requires. Only who is asked
changes, to the one model that was named:

1. `model`: those of the persona's providers for which the policy names that model, best first.
2. `provider/model`: that provider, which must be one of the persona's or the default provider.
3. A model that the policy does not name is taken only where it says `allow_direct_models: true`,
   and only with its provider.

Nobody else is a fallback: who names a model does not want another one.
"""

from collections.abc import Iterator

from policy.schema import Persona, Policy, Preference
from translators.errors import InvalidRequest

__all__ = ["with_model"]

_LONGEST_NAME = 64


def with_model(policy: Policy, persona: str, model: str) -> Policy:
    """Return a policy in which `persona` is served by one model alone.

    Args:
        policy: The policy.
        persona: One of its personas.
        model: As its caller wrote it: `model` or `provider/model`.

    Raises:
        InvalidRequest: The persona has no such model; says which it has.
    """
    row = policy.personas[persona]
    changed = row.model_copy(update={"provider_preferences": _chosen(policy, row, model)})
    return policy.replace(personas={**policy.personas, persona: changed}, default_provider=None)


def _chosen(policy: Policy, persona: Persona, model: str) -> tuple[Preference, ...]:
    known = {name: _models(policy, name) for name in _providers(policy, persona)}
    # The whole name first: names of models may hold a slash.
    if found := tuple(_preference(name, model) for name in known if model in known[name]):
        return found
    provider, _, rest = model.partition("/")
    models = known.get(provider)
    if models is not None and rest and (rest in models or policy.allow_direct_models):
        return (_preference(provider, rest),)
    choices = ", ".join(f"{name}/{one}" for name, models in known.items() for one in models)
    shown = "".join(c if c.isprintable() else "?" for c in model[:_LONGEST_NAME])
    raise InvalidRequest(
        f"`model` is `{shown}`, which is no model that the policy has for this persona. It has "
        f"{choices}. Others must stand in the policy (`provider_preferences`, or `models` of a "
        "provider), or be named as provider/model where it says `allow_direct_models: true`.",
        param="model",
        code="model_not_found",
        status=404,
    )


def _preference(provider: str, model: str) -> Preference:
    return Preference.model_construct(provider=provider, model=model)


def _providers(policy: Policy, persona: Persona) -> Iterator[str]:
    seen: set[str] = set()
    preferred = (preference.provider for preference in persona.provider_preferences)
    for name in (*preferred, policy.default_provider):
        if name is not None and name not in seen:
            seen.add(name)
            yield name


def _models(policy: Policy, provider: str) -> tuple[str, ...]:
    """Return the models that the policy names for a provider, its default one first."""
    row = policy.providers[provider]
    named = (
        preference.model
        for persona in policy.personas.values()
        for preference in persona.provider_preferences
        if preference.provider == provider and preference.model is not None
    )
    return tuple(dict.fromkeys((row.model, *row.models, *named)))
