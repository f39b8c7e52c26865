"""What becomes of every request field on the Messages API.

https://platform.claude.com/docs/en/api/messages/create lists what there is to translate to.
"""

from translators.fidelity import Rule

__all__ = ["RULES"]

_NO_FIELD = "the Messages API has no such field"
_FOREIGN = "only the vendor whose model thought it can read it"
_SAMPLING = "sent to the models that still take it, else not; a value the model refuses is reported"
_FORCED = "emulated by an instruction where the model has lost the forced choice"
_SCHEMA = "where the API can enforce the schema; else emulated as `json_object`"

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
    "n": Rule("emulated", (1,), "the request is sent as often, and the answers are joined"),
    "parallel_tool_calls": Rule("native"),
    "prediction": Rule("ignored", (), _NO_FIELD),
    "presence_penalty": Rule("ignored", (0,), _NO_FIELD),
    "prompt_cache_key": Rule("ignored", (), _NO_FIELD),
    "prompt_cache_options": Rule("emulated", (), "by `cache_control` on the request"),
    "prompt_cache_retention": Rule("emulated", (), "by the `ttl` of `cache_control`"),
    "reasoning_effort": Rule("native", (), "before 4.6 emulated by a budget of tokens"),
    "response_format": Rule(
        "native",
        ({"type": "text"},),
        "a schema that the API can enforce; else, and for `json_object`, emulated: asked for in "
        "the prompt, checked and repaired once",
    ),
    "safety_identifier": Rule("emulated", (), "its SHA-256 is sent as `metadata.user_id`"),
    "seed": Rule("ignored", (), _NO_FIELD),
    "service_tier": Rule("emulated", ("auto",), "`default` is `standard_only` there"),
    "stop": Rule("native", (), "sequences of white space alone are refused there"),
    "store": Rule("ignored", (False,), "the API stores no answers"),
    "stream": Rule("native"),
    "stream_options": Rule("native", (), "the token counts come with every stream"),
    "temperature": Rule("native", (1,), _SAMPLING),
    "thinking": Rule("native", reason="the API's own field"),
    "tool_choice": Rule("native", (), _FORCED),
    "tools": Rule("native", (), "custom tools are emulated by a function with one string"),
    "top_k": Rule("native", (), _SAMPLING),
    "top_logprobs": Rule("rejected", (0,), "token probabilities are not available"),
    "top_p": Rule("native", (1,), _SAMPLING),
    "user": Rule("emulated", (), "as `safety_identifier`, where that is absent"),
    "verbosity": Rule("ignored", ("medium",), _NO_FIELD),
    "web_search_options": Rule("emulated", (), "by a tool of the server's own"),
    "an unknown field": Rule("ignored", (), _NO_FIELD),
    "`system` message": Rule("native"),
    "`developer` message": Rule("native", (), "as `system`"),
    "`system` message later on": Rule(
        "native", (), "in its place; before Opus 4.8 emulated by a text of the user's"
    ),
    "`name` of a user": Rule("ignored", (), _NO_FIELD),
    "`name` of an assistant": Rule("ignored", (), _NO_FIELD),
    "`text` part": Rule("native"),
    "image by data URL": Rule("native", (), "JPEG, PNG, GIF and WebP"),
    "image by URL": Rule("native", (), "`https:`; from `http:` the proxy fetches it"),
    "`detail` of an image": Rule("ignored", (), _NO_FIELD),
    "`input_audio` part": Rule("rejected", (), "Claude does not listen to audio"),
    "`file` with `file_data`": Rule("native", (), "PDF, images and UTF-8 text"),
    "`file` with OpenAI's `file_id`": Rule("rejected", (), "it is not in Anthropic's Files API"),
    "part of an unknown type": Rule("rejected", (), "it might be anything"),
    "`cache_control` on a part": Rule("native", (), "the last four of a request"),
    "`prompt_cache_breakpoint` on a part": Rule("native", (), "as `cache_control`"),
    "`refusal` of an earlier answer": Rule("native", (), "as text"),
    "`audio` of an earlier answer": Rule("rejected", (), "Claude has no spoken answers"),
    "answer begun by the client": Rule(
        "rejected", (), "models from 4.6 on do not continue one; older ones do"
    ),
    "function call and result": Rule("native"),
    "image in a tool result": Rule("native"),
    "custom call and result": Rule("native", (), "as the call of a function with one string"),
    "deprecated `function_call` and result": Rule("native", (), "with an id of our own"),
    "function tool": Rule("native"),
    "`strict` function tool": Rule(
        "native", (), "from 4.5 on, where its schema can be enforced; else ignored"
    ),
    "custom tool": Rule("emulated", (), "by a function with one string"),
    "grammar of a custom tool": Rule("ignored", (), "told in the description, not enforced"),
    "tool of an unknown type": Rule("rejected", (), "it might do anything"),
    "`tool_choice: none`": Rule("native"),
    "`tool_choice: auto`": Rule("native"),
    "`tool_choice: required`": Rule("native", (), _FORCED),
    "`tool_choice` of one function": Rule("native", (), _FORCED),
    "`tool_choice` of one custom tool": Rule("native", (), _FORCED),
    "`tool_choice: allowed_tools`": Rule("emulated", (), "the other tools are left out"),
    "`response_format: json_object`": Rule(
        "emulated", (), "asked for in the prompt, checked and repaired once"
    ),
    "`response_format: json_schema`": Rule("native", (), _SCHEMA),
    "`response_format: json_schema`, strict": Rule("native", (), _SCHEMA),
    "`reasoning_content` alone, unsigned": Rule(
        "ignored", (), "the API takes only thoughts with its own signature"
    ),
    "Claude's thinking in `reasoning_details`": Rule("native"),
    "Claude's thinking on a call (`extra_content`)": Rule("native"),
    "Gemini's thinking in `reasoning_details`": Rule("ignored", (), _FOREIGN),
    "Gemini's thinking on a call (`extra_content`)": Rule("ignored", (), _FOREIGN),
    "OpenAI's thinking in `reasoning_details`": Rule("ignored", (), _FOREIGN),
    "OpenAI's thinking on a call (`extra_content`)": Rule("ignored", (), _FOREIGN),
}
"""The verdict on each top-level field, and on each kind of content."""
