"""A request: what is asked of a persona."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from execution_platform.spi.message import Message
from execution_platform.spi.tools import ResponseFormat, ToolChoice, ToolDefinition

__all__ = ["ChatRequest"]


@dataclass
class ChatRequest:
    """A request for one answer. None: the persona's own value, or else the model's.

    Attributes:
        messages: The conversation so far. A last message of the assistant's is context to be
            answered, unless `prefill` says otherwise.
        max_tokens: The longest answer, in tokens.
        temperature: 0 to 2.
        top_p: Nucleus sampling, 0 to 1.
        stop: Texts at which the answer ends.
        model: Another model than the persona's first: `provider/model`, or `model` for those of
            the persona's providers that have it. It must stand in the policy, unless that says
            `allow_direct_models: true`. The persona's prompt and parameters stay.
        system: The caller's own instructions; they come after the persona's prompt, before the
            messages.
        tools: What the model may call.
        tool_choice: Whether it may or must, and which.
        parallel_tool_calls: Whether an answer may hold several calls.
        response_format: The form that the answer must have.
        reasoning_effort: How long the model thinks: `minimal`, `low`, `medium`, `high`, …
        verbosity: How much it says: `low`, `medium`, `high`.
        seed: For answers that differ less.
        n: How many answers (`ChatChunk.index`, `ChatResponse.choices`).
        max_completion_tokens: The newer name of `max_tokens`.
        frequency_penalty: -2 to 2.
        presence_penalty: -2 to 2.
        logit_bias: Token id to -100 to 100.
        logprobs: Whether the tokens' log probabilities are wanted.
        top_logprobs: For how many alternatives.
        metadata: Kept by the provider with the answer, where it keeps answers.
        store: Whether it may keep them.
        service_tier: The provider's class of service.
        user: An end user's id.
        safety_identifier: The newer name of `user`.
        prompt_cache_key: Which requests share a cached beginning.
        prompt_cache_retention: How long that is kept: `in_memory`, `24h`.
        prompt_cache_options: Further options of the cache.
        prediction: What most of the answer is expected to be.
        modalities: `text`, `audio`.
        audio: Voice and format of a spoken answer.
        moderation: As OpenAI has it.
        web_search_options: Lets the model search the web.
        prefill: The last message is the assistant's, and the model is to go on in the middle of
            it; providers that cannot are passed over, or refuse.
        strict: Refuse the request where its provider would ignore something of it.
        cache_control: Of a persona whose answers are kept, as HTTP has it: `no-cache` for a new
            answer, `no-store` for one that is not kept, `max-age=60` for one of the last minute.
        extra: Fields that have no attribute here, sent as they are.
    """

    messages: list[Message]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: list[str] | None = None
    model: str | None = None
    system: str | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    seed: int | None = None
    n: int | None = None
    max_completion_tokens: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[str, int] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    metadata: Mapping[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: Mapping[str, Any] | None = None
    prediction: Mapping[str, Any] | None = None
    modalities: list[str] | None = None
    audio: Mapping[str, Any] | None = None
    moderation: Mapping[str, Any] | None = None
    web_search_options: Mapping[str, Any] | None = None
    prefill: bool = False
    strict: bool = False
    cache_control: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
