"""Attribute names, in one place: the GenAI conventions are still moving.

Source: semantic-conventions-genai 1.42.0-dev for `gen_ai.*` (`cache_creation` is the older name
of `cache_write`; Jaeger's UI still reads it, so both are set), semantic-conventions 1.44 for the
rest. `ep.*` is ours. `gen_ai.*` stands on attempts only: back ends that see it on two spans count
the tokens twice.
"""

from typing import Final

__all__ = ["AGENTS", "PROVIDER_NAMES", "REQUEST_PARAMETERS"]

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
AGENT_NAME: Final = "gen_ai.agent.name"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_TYPE: Final = "gen_ai.tool.type"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
CACHE_CREATION_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"

METHOD: Final = "http.request.method"
METHOD_ORIGINAL: Final = "http.request.method_original"
ROUTE: Final = "http.route"
STATUS: Final = "http.response.status_code"
RESEND_COUNT: Final = "http.request.resend_count"
PATH: Final = "url.path"
SCHEME: Final = "url.scheme"
PROTOCOL_VERSION: Final = "network.protocol.version"
CLIENT_ADDRESS: Final = "client.address"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
USER_AGENT: Final = "user_agent.original"
ERROR_TYPE: Final = "error.type"

ROUTE_PERSONA: Final = "ep.route.persona"
ROUTE_CANDIDATES: Final = "ep.route.candidates"
ROUTE_REQUIRED: Final = "ep.route.required"
ROUTE_REASON: Final = "ep.route.reason"
ROUTE_SELECTED: Final = "ep.route.selected"
ROUTE_MODEL: Final = "ep.route.model"

ATTEMPT_NUMBER: Final = "ep.attempt.number"
ATTEMPT_REASON: Final = "ep.attempt.reason"
FOLLOW_UPS: Final = "ep.attempt.follow_ups"
ATTEMPT_PROVIDER: Final = "ep.upstream.name"
ATTEMPT_DIALECT: Final = "ep.upstream.dialect"
UPSTREAM_REQUEST_ID: Final = "ep.upstream.request_id"
IGNORED: Final = "ep.params.ignored"
EMULATED: Final = "ep.params.emulated"
CHUNKS: Final = "ep.stream.chunks"
END_REASON: Final = "ep.stream.end_reason"
NATIVE_FINISH_REASON: Final = "ep.response.native_finish_reason"
CONTENT_ERROR: Final = "ep.content.error"
COST: Final = "ep.cost.usd"
AGENT_PROCESS: Final = "ep.agent.process"
AGENT_SESSION: Final = "ep.agent.session_id"
"""Not `gen_ai.conversation.id`, which must not be an id that is new with each request."""
AGENT_TURNS: Final = "ep.agent.num_turns"
AGENT_COST: Final = "ep.agent.cost_usd"

AGENTS: Final = frozenset({"claude_agent"})
"""The dialects in which not a model is asked, but an agent: it bears the dialect's name."""

PROVIDER_NAMES: Final = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic_messages": "anthropic",
    "claude_agent": "anthropic",
    "gemini_generate": "gcp.gemini",
}
"""Dialect to `gen_ai.provider.name`, which the conventions define as the telemetry's flavour."""

REQUEST_PARAMETERS: Final = {
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
    "reasoning_effort": "gen_ai.request.reasoning.level",
}
"""OpenAI's field to the attribute that shows it: none of them holds what a client said."""
