"""What becomes of every request field on `generateContent`.

https://ai.google.dev/api/generate-content lists what there is to translate to.
"""

from translators.fidelity import Rule

__all__ = ["RULES"]

_NO_FIELD = "generateContent has no such field"
_BY_MODEL = "sent to the models that heed it, else reported"

RULES: dict[str, Rule] = {
    "model": Rule("native"),
    "messages": Rule("native", reason="per part; see `content` and `messages`"),
    "audio": Rule("rejected", reason="spoken answers are not translated yet"),
    "cached_content": Rule("native", reason="the API's own field"),
    "extra_body": Rule("native", reason="its `google`, as Google's own OpenAI endpoint has it"),
    "frequency_penalty": Rule("native", (0,), _BY_MODEL),
    "function_call": Rule("native"),
    "functions": Rule("native"),
    "google": Rule("native", reason="its `thinking_config` and `cached_content`"),
    "logit_bias": Rule("rejected", ({},), "its token ids belong to another tokenizer"),
    "logprobs": Rule("native", (False,)),
    "max_completion_tokens": Rule("native"),
    "max_tokens": Rule("native"),
    "metadata": Rule("ignored", ({},), _NO_FIELD),
    "modalities": Rule("rejected", (["text"], []), "only text answers are translated yet"),
    "moderation": Rule("rejected", ({},), "there is no moderation to turn on"),
    "n": Rule("rejected", (1,), "one request has one answer; send it several times"),
    "parallel_tool_calls": Rule("ignored", (True,), "the model decides how many calls it makes"),
    "prediction": Rule("ignored", (), _NO_FIELD),
    "presence_penalty": Rule("native", (0,), _BY_MODEL),
    "prompt_cache_key": Rule("ignored", (), "caching is automatic there"),
    "prompt_cache_options": Rule("ignored", (), "caching is automatic there"),
    "prompt_cache_retention": Rule("ignored", (), "caching is automatic there"),
    "reasoning_effort": Rule("native", (), "a level from generation 3 on, a budget for 2.5"),
    "response_format": Rule("native", ({"type": "text"},), "beside tools from generation 3 on"),
    "safety_identifier": Rule("ignored", (), _NO_FIELD),
    "safety_settings": Rule("native", reason="the API's own field"),
    "seed": Rule("native", (), "folded into 31 bits"),
    "service_tier": Rule("native", ("auto",), "`default` is `standard` there"),
    "stop": Rule("native", (), "at most five sequences"),
    "store": Rule("ignored", (False,), "`store` there is about logging"),
    "stream": Rule("native"),
    "stream_options": Rule("emulated"),
    "temperature": Rule("native", (1,), _BY_MODEL),
    "tool_choice": Rule("native"),
    "tools": Rule("native", (), "custom tools are emulated by a function with one string"),
    "top_k": Rule("native", (), _BY_MODEL),
    "top_logprobs": Rule("native", (0,), "beside `logprobs`"),
    "top_p": Rule("native", (1,), _BY_MODEL),
    "user": Rule("ignored", (), _NO_FIELD),
    "verbosity": Rule("ignored", ("medium",), _NO_FIELD),
    "web_search_options": Rule("emulated", (), "by Google Search, where there are no functions"),
}
"""The verdict on each top-level field."""
