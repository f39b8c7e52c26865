"""Which targets serve a request, as data: what was chosen, what was passed over, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from policy.capabilities import required_by
from policy.personas import with_parameters
from policy.providers import Target
from policy.schema import Candidate, Policy, Shortlist
from policy.spelling import did_you_mean
from translators.errors import NoProvider, UnknownPersona
from translators.wire.request import ChatCompletionRequest

__all__ = ["NONE_HELD", "Decision", "Rejection", "Target", "decide", "nobody", "weigh"]

# A client's `model` is repeated in an error only so far.
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Rejection:
    """A candidate that cannot serve the request.

    Attributes:
        provider: The provider's name in the policy.
        model: The model that would have been asked.
        reason: `missing_capabilities`: it cannot do what is needed, available or not;
            `unavailable`: it could, but not now; `gate`: what became of its last requests for
            this persona fails a live gate.
        missing: The capabilities it lacks.
        detail: For people: what is missing, and what to do.
    """

    provider: str
    model: str
    reason: Literal["missing_capabilities", "unavailable", "gate"]
    missing: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request goes, and why; recorded whole on the trace.

    Attributes:
        persona: The persona, or `provider/model` where a model was named directly.
        targets: Whom to ask, in this order; empty where nobody can serve it.
        reason: Why the first target is the first.
        rejected: The candidates that were passed over, in the order of preference.
        required: What the request needs, each with the reason or the parameter.
        held: Those that could serve it, too, but for their live gates.
        gates_set_aside: Whether all targets fail their live gates, and are asked all the same.
        candidates: All who were considered, in the order of preference.
    """

    persona: str
    targets: tuple[Target, ...]
    reason: str
    rejected: tuple[Rejection, ...] = ()
    required: Mapping[str, str] = field(default_factory=lambda: {})
    held: tuple[Target, ...] = ()
    gates_set_aside: bool = False
    candidates: tuple[Candidate, ...] = ()

    def without_gates(self) -> "Decision":
        """Return the decision for those that are held back, as there is nobody else."""
        return replace(
            self,
            targets=self.held,
            reason=_SET_ASIDE,
            rejected=tuple(rejection for rejection in self.rejected if rejection.reason != "gate"),
            held=(),
            gates_set_aside=True,
        )


_SET_ASIDE = "all that qualify fail their live gates, and are asked all the same"

NONE_HELD: Final[Mapping[tuple[str, str], str]] = {}


def decide(
    chat: ChatCompletionRequest,
    policy: Policy,
    availability: Mapping[str, str | None],
    held: Mapping[tuple[str, str], str] = NONE_HELD,
) -> Decision:
    """Choose the targets of a request, as `weigh` does; there is at least one.

    Raises:
        UnknownPersona: `model` names none.
        NoProvider: Nobody can serve it; says for each candidate what is missing.
    """
    decision = weigh(chat, policy, availability, held)
    if not decision.targets:
        raise nobody(decision)
    return decision


def weigh(
    chat: ChatCompletionRequest,
    policy: Policy,
    availability: Mapping[str, str | None],
    held: Mapping[tuple[str, str], str] = NONE_HELD,
) -> Decision:
    """Choose the targets of a request, best first; none where nobody can serve it.

    Args:
        chat: The caller's request, before `policy.personas.apply`; `model` names the persona.
        policy: The personas and providers.
        availability: Provider to the reason why it cannot be used now, None where it can.
        held: Provider and model to the reason why a live gate holds them back from this persona.
            Where all that could serve the request are held back, they are the targets all the
            same: a provider that may fail is better than a refusal that is certain.

    Raises:
        UnknownPersona: `model` names none.
    """
    name = chat.model
    shortlist = policy.shortlists.get(name) or _direct(name, policy)
    candidates = shortlist.candidates
    required = _required(chat, policy)
    if not held and shortlist.shared.issuperset(required) and _all_can(shortlist, availability):
        # Nearly always: nobody has to be looked at one by one.
        targets = shortlist.targets
        reason = _reason(name, targets, candidates, policy)
        return Decision(name, targets, reason, required=required, candidates=candidates)
    needed = frozenset(required)
    qualified: list[Target] = []
    rejected: list[Rejection] = []
    for candidate in candidates:
        target = candidate.target
        unavailable = availability.get(target.provider)
        if unavailable is not None or not needed <= candidate.capabilities:
            rejected.append(_reject(candidate, needed, required, unavailable))
            continue
        qualified.append(target)
        if (why := held.get((target.provider, target.model))) is not None:
            rejected.append(Rejection(target.provider, target.model, "gate", (), why))
    passing = tuple(t for t in qualified if (t.provider, t.model) not in held)
    stopped = tuple(t for t in qualified if (t.provider, t.model) in held)
    reason = _reason(name, passing or stopped, candidates, policy)
    decision = Decision(
        name, passing, reason, tuple(rejected), required, stopped, candidates=candidates
    )
    return decision if passing or not stopped else decision.without_gates()


def _reason(
    name: str, targets: tuple[Target, ...], candidates: tuple[Candidate, ...], policy: Policy
) -> str:
    if not targets:
        return "nobody qualifies"
    if name not in policy.personas:
        return "the model was named directly"
    if policy.last_resort is not None and targets[0] is policy.last_resort.target:
        return "the default provider is the last resort: no preference qualifies"
    if targets[0] is candidates[0].target:
        return "first preference"
    return "the best preference that qualifies"


def _all_can(shortlist: Shortlist, availability: Mapping[str, str | None]) -> bool:
    """Whether all who may serve can be used now."""
    return all(availability.get(target.provider) is None for target in shortlist.targets)


def _required(chat: ChatCompletionRequest, policy: Policy) -> dict[str, str]:
    """Return what the request needs, each with the reason or the parameter."""
    persona = policy.personas.get(chat.model)
    required: dict[str, str] = {}
    if persona is not None:
        required.update(persona.needs)
        if persona.defaults_need:
            # A default can need something, too: a persona of JSON answers needs `json_mode`.
            chat = with_parameters(chat, persona)
    for capability, path in required_by(chat).items():
        required.setdefault(capability, path)
    return required


def _reject(
    candidate: Candidate,
    needed: frozenset[str],
    required: Mapping[str, str],
    unavailable: str | None,
) -> Rejection:
    target = candidate.target
    lacking = needed - candidate.capabilities
    if not lacking:
        return Rejection(target.provider, target.model, "unavailable", (), unavailable or "")
    missing = tuple(capability for capability in required if capability in lacking)
    parts = [f"it lacks `{capability}` ({required[capability]})" for capability in missing]
    if unavailable is not None:
        parts.append(unavailable)
    detail = "; ".join(parts)
    return Rejection(target.provider, target.model, "missing_capabilities", missing, detail)


def _direct(name: str, policy: Policy) -> Shortlist:
    """Return the only candidate for `provider/model`.

    Raises:
        UnknownPersona: The name is not of that form, or the policy does not allow it.
    """
    provider, slash, model = name.partition("/")
    if slash and model and provider in policy.providers:
        if policy.allow_direct_models:
            return Shortlist((policy.candidate(provider, model),))
        hint = (
            "Models can be named directly only where the policy says `allow_direct_models: true`."
        )
    else:
        hint = did_you_mean(name, policy.personas, most=3)
    shown = _shown(name)
    raise UnknownPersona(
        f"The model `{shown}` does not exist: no persona has this name. "
        f"No provider satisfies requirements for persona '{shown}'. "
        + (f"{hint} " if hint else "")
        + "`GET /v1/models` lists the personas; the policy file defines them under `personas:`."
    )


def _shown(name: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in name[:_LONGEST_NAME])
    return printable + "…" if len(name) > _LONGEST_NAME else printable


def nobody(decision: Decision) -> NoProvider:
    """Return the refusal of a request without targets: for each candidate, what is missing."""
    rejected, required = decision.rejected, decision.required
    text = f"No provider satisfies requirements for persona '{_shown(decision.persona)}'"
    if required:
        needs = ", ".join(f"{capability} ({why})" for capability, why in required.items())
        text += f", which are: {needs}"
    candidates = "; ".join(
        f"`{rejection.provider}` ({rejection.model}): {rejection.detail}" for rejection in rejected
    )
    error = NoProvider(
        f"{text}. Candidates: {candidates}.",
        unavailable=any(rejection.reason == "unavailable" for rejection in rejected),
    )
    error.param = _param_at_fault(rejected, required)
    return error


def _param_at_fault(rejected: Sequence[Rejection], required: Mapping[str, str]) -> str | None:
    """Return the parameter that no candidate can serve, if one parameter is to blame."""
    for capability, why in required.items():
        if " " not in why and all(capability in r.missing for r in rejected):
            return why
    return None
