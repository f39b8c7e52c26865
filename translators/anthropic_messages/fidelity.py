"""What becomes of every request field on the Messages API.

https://platform.claude.com/docs/en/api/messages/create lists what there is to translate to.
"""

from translators.fidelity import Rule

__all__ = ["RULES"]

_NO_FIELD = "the Messages API has no such field"
_SAMPLING = "sent to the models that still take it, else not; a value the model refuses is reported"

RULES: dict[str, Rule] = {
    "model": Rule("native"),
    "messages": Rule("native", reason="per part; see `content` and `messages`"),
    "audio": Rule("rejected", reason="Claude does not speak"),
    "cache_control": Rule("native", reason="the API's own field"),
    "frequency_penalty": Rule("ignored", (0,), _NO_FIELD),
    "function_call": Rule("native"),
    "functions": Rule("native"),
    "logit_bias": Rule("rejected", ({},), "its token ids belong to another tokenizer"),
    "logprobs": Rule("rejected", (False,), "token probabilities are not available"),
    "max_completion_tokens": Rule("native"),
    "max_tokens": Rule("native"),
    "metadata": Rule("ignored", ({},), "`metadata` there holds only a user id"),
    "modalities": Rule("rejected", (["text"], []), "Claude answers with text only"),
    "moderation": Rule("rejected", ({},), "there is no moderation to turn on"),
    "n": Rule("rejected", (1,), "one request has one answer; send it several times"),
    "parallel_tool_calls": Rule("native"),
    "prediction": Rule("ignored", (), _NO_FIELD),
    "presence_penalty": Rule("ignored", (0,), _NO_FIELD),
    "prompt_cache_key": Rule("ignored", (), _NO_FIELD),
    "prompt_cache_options": Rule("emulated", (), "by `cache_control` on the request"),
    "prompt_cache_retention": Rule("emulated", (), "by the `ttl` of `cache_control`"),
    "reasoning_effort": Rule("native", (), "models from 4.6 on; older ones do not take it"),
    "response_format": Rule(
        "rejected", ({"type": "text"},), "structured answers are not translated yet"
    ),
    "safety_identifier": Rule("emulated", (), "its SHA-256 is sent as `metadata.user_id`"),
    "seed": Rule("ignored", (), _NO_FIELD),
    "service_tier": Rule("emulated", ("auto",), "`default` is `standard_only` there"),
    "stop": Rule("native", (), "sequences of white space alone are refused there"),
    "store": Rule("ignored", (False,), "the API stores no answers"),
    "stream": Rule("native"),
    "stream_options": Rule("emulated"),
    "temperature": Rule("native", (1,), _SAMPLING),
    "thinking": Rule("native", reason="the API's own field"),
    "tool_choice": Rule("native", (), "some models lost the forced choice"),
    "tools": Rule("native", (), "custom tools are emulated by a function with one string"),
    "top_k": Rule("native", (), _SAMPLING),
    "top_logprobs": Rule("rejected", (0,), "token probabilities are not available"),
    "top_p": Rule("native", (1,), _SAMPLING),
    "user": Rule("emulated", (), "as `safety_identifier`, where that is absent"),
    "verbosity": Rule("ignored", ("medium",), _NO_FIELD),
    "web_search_options": Rule("rejected", (), "web search is not translated yet"),
}
"""The verdict on each top-level field."""
