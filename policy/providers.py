"""Provider rows: where a provider is, how to speak to it, and what it can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from policy.agents import AgentRow
from policy.clouds import Credentials, Place, Project, cloud_problems
from policy.prices import Prices
from policy.rows import Capabilities, Row, VariableNames, problem, problems
from policy.spelling import did_you_mean, listed

__all__ = ["CLI_OPTIONS", "DIALECTS", "ModelRow", "ProviderRow", "Target", "Timeouts"]

DIALECTS = (
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini_generate",
    "claude_agent",
)
"""The dialects a row may name. One that this version does not speak makes it unavailable."""

Seconds = Annotated[float, Field(gt=0)]


class Timeouts(Row):
    """The limits of one attempt at one provider, in seconds.

    Attributes:
        connect: Until the connection stands; short, since another provider may be at hand.
        first_token: Until the first part of an answer; long, since reasoning models are silent
            for minutes.
        idle: Between two parts of an answer.
        total: For the whole answer; None: no limit but the others.
    """

    connect: Seconds = 10.0
    first_token: Seconds = 120.0
    idle: Seconds = 120.0
    total: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One provider and one of its models.

    Attributes:
        provider: The provider's name in the policy.
        model: The name that this provider knows the model by.
        timeouts: The limits of one attempt.
    """

    provider: str
    model: str
    timeouts: Timeouts


class ModelRow(Row):
    """What is different for one model of a provider."""

    capabilities: Capabilities


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _url(url: str) -> str:
    remedy = "Write for instance `https://api.example.com/v1`."
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = None
    if not usable or parts is None or any(c.isspace() for c in url):
        raise problem("this is not the URL of a server", remedy)
    if parts.username is not None or parts.password is not None:
        raise problem(
            "the URL holds credentials",
            "Put the key in an environment variable and name that in `api_key_env`.",
        )
    if parts.query or parts.fragment:
        raise problem("a base URL ends with its path", "Put what follows `?` under `query`.")
    return url.rstrip("/")


CLI_OPTIONS = ("pool", "processes", "queue", "patience", "login", "agent")
"""Options of a row that only `claude_agent` has."""

# An option that its row's dialect does not read would be dropped without a word.
_ONLY_FOR: Mapping[str, tuple[str, ...]] = {
    "api": ("openai_chat",),
    "reasoning_summary": ("openai_chat", "openai_responses"),
    "stream_usage": ("openai_chat",),
    "max_tokens_field": ("openai_chat",),
    "message_extensions": ("openai_chat",),
    "default_max_tokens": ("anthropic_messages", "claude_agent"),
    "discover": ("anthropic_messages",),
    **dict.fromkeys(CLI_OPTIONS, ("claude_agent",)),
}

_NOT_WITH_API: Mapping[str, tuple[str, ...]] = {
    "chat": ("reasoning_summary",),
    "responses": ("stream_usage", "max_tokens_field", "message_extensions"),
}

_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"})


class ProviderRow(Row):
    """One provider.

    Attributes:
        dialect: The API it speaks: one of `DIALECTS`.
        base_url: Where it is, without a slash at the end; of a row with `credentials` it is empty
            until `proxy.cloud.in_place` has looked for the place in the environment, too.
        model: The model that is asked where a persona names none.
        api_key_env: The environment variables its key may stand in; empty: it needs none.
        api_key_header: The header for the bare key; None: as the dialect has it.
        headers: Sent with each request.
        query: Added to each URL, as Azure's `api-version`.
        api_version: The API's version, where the dialect has versions.
        capabilities: What its models can do.
        models: What is different for single models.
        prices: Of its models, by name; what has none here costs nobody knows what.
        timeouts: The limits of one attempt.
        enabled: Whether the provider may be asked at all.
        pool: How many processes are kept ready (`claude_agent`); 0: each request starts its own.
        processes: How many requests are served at the same time (`claude_agent`), each by a
            process of about 200 MB.
        queue: How many more may wait for their turn (`claude_agent`).
        patience: The longest wait for a turn, in seconds (`claude_agent`).
        login: Where the operator's own login may be used, if there is no key (`claude_agent`):
            `loopback`: while the server listens there alone; `anywhere`; `never`.
        agent: What the provider may do on this machine (`claude_agent`); None: nothing.
        trace_context: What of the trace goes to the provider; `full` adds state and baggage,
            for servers of one's own.
        api: Which of OpenAI's two APIs a request goes to (`openai_chat`): `chat` or `responses`,
            or `auto`: Chat Completions, until the server refers a request to Responses.
        reasoning_summary: Which summary of its reasoning a model is asked for through the
            Responses API (`openai_chat`, `openai_responses`); None: none. OpenAI grants it to
            verified organizations only.
        stream_usage: Whether streams are asked for token counts (`openai_chat`).
        max_tokens_field: What the server calls the limit of an answer (`openai_chat`).
        message_extensions: What becomes of other providers' extra keys in messages
            (`openai_chat`).
        default_max_tokens: The limit of an answer where nobody sets one (`anthropic_messages`,
            `claude_agent`, whose API demands one); None: the translator's own.
        discover: Whether the API is asked for its models' limits and abilities
            (`anthropic_messages`).
        credentials: The cloud that serves it, and whose credentials it takes; None: none.
        project: The project in Google's cloud (`vertex`); None: as the environment has it.
        location: Where in Google's cloud (`vertex`), or `global`, `us` or `eu`.
        region: Where in Amazon's cloud (`bedrock`).
        resource: The name of the resource in Microsoft's cloud (`foundry`).
    """

    dialect: str
    base_url: Annotated[str, AfterValidator(_url)] = ""
    model: str = Field(min_length=1)
    api_key_env: Annotated[VariableNames, BeforeValidator(_listed)] = ()
    api_key_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    query: dict[str, str] = Field(default_factory=dict[str, str])
    api_version: str | None = None
    capabilities: Capabilities = ("system_prompts", "streaming")
    models: dict[str, ModelRow] = Field(default_factory=dict[str, ModelRow])
    prices: dict[str, Prices] = Field(default_factory=dict[str, Prices])
    timeouts: Timeouts = Timeouts()
    enabled: bool = True
    pool: int = Field(default=0, ge=0, le=64)
    processes: int = Field(default=8, ge=1, le=256)
    queue: int = Field(default=32, ge=0)
    patience: Seconds = 30.0
    login: Literal["loopback", "anywhere", "never"] = "loopback"
    agent: AgentRow | None = None
    trace_context: Literal["none", "traceparent", "full"] = "traceparent"
    api: Literal["auto", "chat", "responses"] = "auto"
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = None
    stream_usage: bool = True
    max_tokens_field: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    message_extensions: Literal["strip", "forward"] = "strip"
    default_max_tokens: int | None = Field(default=None, ge=1)
    discover: bool = True
    credentials: Credentials | None = None
    project: Project | None = None
    location: Place | None = None
    region: Place | None = None
    resource: Place | None = None

    @cached_property
    def unpriced(self) -> "ProviderRow":
        """The row without its prices, which change nothing in how it is asked."""
        return self.model_copy(update={"prices": {}})

    def capabilities_of(self, model: str) -> frozenset[str]:
        """Return what a model of this provider can do."""
        row = self.models.get(model)
        return frozenset(self.capabilities if row is None else row.capabilities)

    @field_validator("dialect")
    @classmethod
    def _is_known(cls, dialect: str) -> str:
        if dialect not in DIALECTS:
            raise problem(
                f"unknown dialect `{dialect}`",
                did_you_mean(dialect, DIALECTS) or f"The dialects are {listed(DIALECTS)}.",
            )
        return dialect

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        found = [
            ((name,), error)
            for name, value in headers.items()
            if (error := _header_problem(name, value)) is not None
        ]
        if found:
            raise problems(found)
        return headers

    @model_validator(mode="after")
    def _options_have_effect(self) -> "ProviderRow":
        found: list[tuple[tuple[str, ...], PydanticCustomError]] = [
            (
                (name,),
                problem(
                    f"this has no effect with the dialect `{self.dialect}`",
                    f"Remove it; it is for {listed(dialects)}.",
                ),
            )
            for name, dialects in _ONLY_FOR.items()
            if name in self.model_fields_set and self.dialect not in dialects
        ]
        found += [
            (
                (name,),
                problem(
                    f"this has no effect with `api: {self.api}`",
                    "Remove it, or let `api` be `auto`.",
                ),
            )
            for name in _NOT_WITH_API.get(self.api, ())
            if name in self.model_fields_set and self.dialect == "openai_chat"
        ]
        found += cloud_problems(
            self.credentials,
            dialect=self.dialect,
            base_url=self.base_url,
            # A copy of a row sets options to nothing.
            given={n for n in self.model_fields_set if getattr(self, n) not in (None, ())},
        )
        if not self.base_url and self.credentials is None:
            found.append(((), problem("`base_url` is missing", "Add it.")))
        if found:
            raise problems(found)
        return self


def _header_problem(name: str, value: str) -> Any:
    if name.lower() in _CREDENTIALS:
        return problem(
            "a credential does not belong in the policy file",
            "Put it in an environment variable and name that in `api_key_env`; "
            "`api_key_header` says which header it goes into.",
        )
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        return problem("this is not the name of a header", "Use letters, digits and `-`.")
    if not (value.isascii() and value.isprintable()):
        return problem("a header's value must be printable ASCII text in one line")
    return None
