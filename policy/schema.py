"""The policy file, as typed and frozen data.

`policy.build` makes it from YAML and gives every error its line. Made in code, the same models
check all but what needs the whole file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from policy.caching import CacheRule, ResponseCacheRow
from policy.capabilities import NEEDING
from policy.live_gate_rules import LiveGateRules
from policy.media import MediaRules
from policy.parameters import checked_parameters
from policy.providers import ModelRow, ProviderRow, Target, Timeouts
from policy.rows import Capabilities, Row, known_names, problem, problems
from policy.spelling import did_you_mean, listed
from policy.tracing import TracingRules
from translators.wire.content import InstructionMessage

__all__ = [
    "CacheRule",
    "Candidate",
    "ClientKey",
    "LiveGateRules",
    "MediaRules",
    "ModelRow",
    "Persona",
    "Policy",
    "Preference",
    "ProviderRow",
    "ReasoningStoreRow",
    "ResponseCacheRow",
    "Shortlist",
    "Target",
    "Timeouts",
    "TracingRules",
]


def _check_known(name: str, info: ValidationInfo, kind: str, singular: str) -> str:
    known = known_names(info, kind)
    if known is not None and name not in known:
        hint = did_you_mean(name, known)
        names = listed(sorted(known)) or "none"
        raise problem(f"unknown {singular} `{name}`", f"{hint} Known: {names}.".lstrip())
    return name


def _provider_name(name: str, info: ValidationInfo) -> str:
    return _check_known(name, info, "providers", "provider")


def _persona_name(name: str, info: ValidationInfo) -> str:
    return _check_known(name, info, "personas", "persona")


ProviderName = Annotated[str, AfterValidator(_provider_name)]
PersonaName = Annotated[str, AfterValidator(_persona_name)]


class Preference(Row):
    """A provider that a persona may use; `model` is the provider's own default where None."""

    provider: ProviderName
    model: str | None = Field(default=None, min_length=1)


def _preference(value: Any) -> Any:
    return {"provider": value} if isinstance(value, str) else value


class Persona(Row):
    """A named job.

    Attributes:
        description: For people, in `GET /v1/models` and on the command line.
        requires: What a provider must be able to do, whatever the request.
        provider_preferences: Who may serve it, best first.
        system_prompt: Put before the caller's messages; read from the file where one is named.
        system_prompt_file: Where the prompt was read from, relative to the policy file.
        parameters: Request parameters for callers that do not set them: as validated, without
            those that are null.
        cache: How long its answers are given again to the same request; None: never.
    """

    description: str = ""
    requires: Capabilities = ()
    provider_preferences: Annotated[
        tuple[Annotated[Preference, BeforeValidator(_preference)], ...],
        Field(strict=False),
    ]
    system_prompt: str | None = None
    system_prompt_file: str | None = None
    parameters: Annotated[dict[str, Any], AfterValidator(checked_parameters)] = Field(
        default_factory=dict[str, Any]
    )
    cache: CacheRule | None = None

    @field_validator("provider_preferences")
    @classmethod
    def _differ(cls, preferences: tuple[Preference, ...]) -> tuple[Preference, ...]:
        if not preferences:
            raise problem("the list is empty", "Name at least one provider.")
        seen: set[tuple[str, str | None]] = set()
        for index, preference in enumerate(preferences):
            choice = (preference.provider, preference.model)
            if choice in seen:
                twice = problem(f"`{preference.provider}` stands here twice", "Remove one.")
                raise problems([((index,), twice)])
            seen.add(choice)
        return preferences

    @field_validator("system_prompt")
    @classmethod
    def _says_something(cls, prompt: str | None) -> str | None:
        if prompt is not None and not prompt.strip():
            raise problem("the system prompt is empty", "Write one, or leave the key out.")
        return prompt

    @cached_property
    def prompt(self) -> InstructionMessage | None:
        """The system prompt as a message: made once, and part of every request's list."""
        if self.system_prompt is None:
            return None
        return InstructionMessage(role="system", content=self.system_prompt)

    @cached_property
    def defaults_need(self) -> bool:
        """Whether one of its parameters may need something of a provider."""
        return not NEEDING.isdisjoint(self.parameters)

    @cached_property
    def needs(self) -> Mapping[str, str]:
        """What a provider must be able to do whatever the request, each with the reason."""
        needs = dict.fromkeys(self.requires, "the persona requires it")
        if self.system_prompt is not None:
            needs.setdefault("system_prompts", "the persona has a system prompt")
        return needs


class ClientKey(Row):
    """A key that clients may use.

    Attributes:
        name: Who it belongs to, for logs.
        sha256: The SHA-256 of the key, in hexadecimal.
        personas: The personas it may use; None: all.
    """

    name: str = Field(min_length=1)
    sha256: str = Field(repr=False)
    personas: Annotated[tuple[PersonaName, ...], Field(strict=False)] | None = None

    @field_validator("sha256")
    @classmethod
    def _is_hash(cls, value: str) -> str:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
            raise problem(
                "this is not a SHA-256 in hexadecimal (64 digits)",
                'Make it with: printf %s "$KEY" | sha256sum.',
            )
        return value.lower()


class ReasoningStoreRow(Row):
    """How long, and how much of, models' reasoning is kept for clients that do not send it back.

    Attributes:
        enabled: Whether any of it is kept.
        max_age: Seconds.
        max_entries: Tool calls, in the memory of one server process.
        max_bytes: The same, in bytes.
    """

    enabled: bool = True
    max_age: float = Field(default=24 * 3600.0, ge=1, le=366 * 24 * 3600)
    max_entries: int = Field(default=10_000, ge=1)
    max_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target that a persona may use, and what it can do."""

    target: Target
    capabilities: frozenset[str]


class Shortlist:
    """Who may serve a persona, or a model that was named directly, best first.

    Attributes:
        candidates: All of them, with the last resort.
        targets: Theirs.
        shared: What all of them can do.
    """

    __slots__ = ("candidates", "shared", "targets")

    def __init__(self, candidates: tuple[Candidate, ...]) -> None:
        self.candidates = candidates
        self.targets = tuple(candidate.target for candidate in candidates)
        first, *others = candidates
        self.shared = first.capabilities.intersection(*(one.capabilities for one in others))


class Policy(Row):
    """The whole policy.

    Attributes:
        providers: By name.
        personas: By name.
        strict: Whether a parameter that would be ignored is an error instead.
        allow_direct_models: Whether `model` may be `provider/model` instead of a persona.
        client_keys: The keys clients may use, beside those of the environment.
        default_provider: The last resort of every persona, where it can do what is needed.
        reasoning_store: How much of models' reasoning is kept for their next turn.
        media: What is fetched for a provider that does not fetch it itself.
        response_cache: How much is kept of the answers of personas with a `cache`.
        live_gates: When providers are passed over for what became of their last requests.
        tracing: What becomes of callers' traces, and what captured content must not hold.
    """

    providers: dict[str, ProviderRow] = Field(default_factory=dict[str, ProviderRow])
    personas: dict[str, Persona] = Field(default_factory=dict[str, Persona])
    strict: bool = False
    allow_direct_models: bool = False
    client_keys: Annotated[tuple[ClientKey, ...], Field(strict=False)] = ()
    default_provider: ProviderName | None = None
    reasoning_store: ReasoningStoreRow = ReasoningStoreRow()
    media: MediaRules = MediaRules()
    response_cache: ResponseCacheRow = ResponseCacheRow()
    live_gates: LiveGateRules = LiveGateRules(enabled=False)
    tracing: TracingRules = TracingRules()

    @model_validator(mode="after")
    def _keys_differ(self) -> "Policy":
        seen: set[str] = set()
        for index, key in enumerate(self.client_keys):
            if key.name in seen:
                twice = problem(f"two keys have the name `{key.name}`", "Rename one.")
                raise problems([(("client_keys", index, "name"), twice)])
            seen.add(key.name)
        return self

    def replace(self, **changes: Any) -> "Policy":
        """Return this policy with some of its parts exchanged."""
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        # Not `model_copy`, which would take the cached candidates along.
        return type(self)(**{**parts, **changes})

    def candidate(self, provider: str, model: str | None = None) -> Candidate:
        """Return a provider and one of its models, or its default model, as a candidate."""
        row = self.providers[provider]
        target = Target(provider, model or row.model, row.timeouts)
        return Candidate(target, row.capabilities_of(target.model))

    @cached_property
    def candidates(self) -> Mapping[str, tuple[Candidate, ...]]:
        """Who may serve each persona, best first, without the default provider."""
        return {
            name: tuple(
                self.candidate(preference.provider, preference.model)
                for preference in persona.provider_preferences
            )
            for name, persona in self.personas.items()
        }

    @cached_property
    def shortlists(self) -> Mapping[str, Shortlist]:
        """Who may serve each persona, with the default provider as its last resort."""
        last = self.last_resort
        rows = self.candidates.items()
        return {
            name: Shortlist(row if last is None or _has(row, last) else (*row, last))
            for name, row in rows
        }

    def reaches(self, provider: str) -> bool:
        """Return whether any request may go to a provider."""
        named = (c.target.provider for row in self.candidates.values() for c in row)
        return self.allow_direct_models or provider in (self.default_provider, *named)

    @property
    def caches(self) -> bool:
        """Whether the answers of any persona are kept."""
        return any(persona.cache is not None for persona in self.personas.values())

    @cached_property
    def last_resort(self) -> Candidate | None:
        """The default provider as a candidate."""
        return None if self.default_provider is None else self.candidate(self.default_provider)


def _has(candidates: tuple[Candidate, ...], last: Candidate) -> bool:
    return any(c.target.provider == last.target.provider for c in candidates)
