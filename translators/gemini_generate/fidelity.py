"""What becomes of every request field on `generateContent`.

https://ai.google.dev/api/generate-content lists what there is to translate to.
"""

from translators.fidelity import Rule

__all__ = ["RULES"]

_NO_FIELD = "generateContent has no such field"
_FOREIGN = "only the vendor whose model thought it can read it"
_SCHEMA = "asked for in the prompt, checked and repaired once where the API cannot enforce it"
_STRICT = _SCHEMA + ", as are the bounds that it only reads in descriptions"
_UNSIGNED = (
    "an unsigned call is sent with Google's word for one, and reported, from generation 3 on"
)
_BY_MODEL = "sent to the models that heed it, else reported"

RULES: dict[str, Rule] = {
    "model": Rule("native"),
    "messages": Rule("native", reason="per part; see `content` and `messages`"),
    "audio": Rule(
        "rejected", reason="its speech has other voices, and none of OpenAI's forms but one"
    ),
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
    "modalities": Rule("rejected", (["text"], []), "of spoken answers; see `audio`"),
    "moderation": Rule("rejected", ({},), "there is no moderation to turn on"),
    "n": Rule("emulated", (1,), "the request is sent once for each choice"),
    "parallel_tool_calls": Rule("ignored", (True,), "the model decides how many calls it makes"),
    "prediction": Rule("ignored", (), _NO_FIELD),
    "presence_penalty": Rule("native", (0,), _BY_MODEL),
    "prompt_cache_key": Rule("ignored", (), "caching is automatic there"),
    "prompt_cache_options": Rule("ignored", (), "caching is automatic there"),
    "prompt_cache_retention": Rule("ignored", (), "caching is automatic there"),
    "reasoning_effort": Rule("native", (), "a level from generation 3 on, a budget for 2.5"),
    "response_format": Rule(
        "native",
        ({"type": "text"},),
        "emulated by a checked prompt beside tools before generation 3, and for schemas before 2.5",
    ),
    "safety_identifier": Rule("ignored", (), _NO_FIELD),
    "safety_settings": Rule("native", reason="the API's own field"),
    "seed": Rule("native", (), "folded into 31 bits"),
    "service_tier": Rule("native", ("auto",), "`default` is `standard` there"),
    "stop": Rule("native", (), "at most five sequences"),
    "store": Rule("ignored", (False,), "`store` there is about logging"),
    "stream": Rule("native"),
    "stream_options": Rule("native", (), "the token counts come with every stream"),
    "temperature": Rule("native", (1,), _BY_MODEL),
    "tool_choice": Rule("native"),
    "tools": Rule("native", (), "custom tools are emulated by a function with one string"),
    "top_k": Rule("native", (), _BY_MODEL),
    "top_logprobs": Rule("native", (0,), "beside `logprobs`"),
    "top_p": Rule("native", (1,), _BY_MODEL),
    "user": Rule("ignored", (), _NO_FIELD),
    "verbosity": Rule("ignored", ("medium",), _NO_FIELD),
    "web_search_options": Rule(
        "emulated", (), "by Google Search; beside functions from generation 3 on"
    ),
    "an unknown field": Rule("ignored", (), _NO_FIELD),
    "`system` message": Rule("native"),
    "`developer` message": Rule("native", (), "as `system`"),
    "`system` message later on": Rule("emulated", (), "in its place, as a marked text of the user"),
    "`name` of a user": Rule("ignored", (), _NO_FIELD),
    "`name` of an assistant": Rule("ignored", (), _NO_FIELD),
    "`text` part": Rule("native"),
    "image by data URL": Rule("native"),
    "image by URL": Rule("emulated", (), "fetched by the proxy; `gs:` and Files API as they are"),
    "`detail` of an image": Rule("native", (), "as `mediaResolution`, from generation 3 on"),
    "`input_audio` part": Rule("native"),
    "`file` with `file_data`": Rule("native"),
    "`file` with OpenAI's `file_id`": Rule("rejected", (), "it is not in Gemini's Files API"),
    "part of an unknown type": Rule("rejected", (), "it might be anything"),
    "`cache_control` on a part": Rule("ignored", (), "caching is automatic there"),
    "`prompt_cache_breakpoint` on a part": Rule("ignored", (), "caching is automatic there"),
    "`refusal` of an earlier answer": Rule("native", (), "as text"),
    "`audio` of an earlier answer": Rule("rejected", (), "Gemini keeps no spoken answers"),
    "answer begun by the client": Rule(
        "rejected", (), "models from 3.6 on do not continue one; older ones do"
    ),
    "function call and result": Rule("native", (), _UNSIGNED),
    "image in a tool result": Rule("native", (), "beside the result before generation 3"),
    "custom call and result": Rule("native", (), _UNSIGNED),
    "deprecated `function_call` and result": Rule("native", (), _UNSIGNED),
    "`reasoning_content` alone, unsigned": Rule("ignored", (), _FOREIGN),
    "Gemini's thinking in `reasoning_details`": Rule("native"),
    "Gemini's thinking on a call (`extra_content`)": Rule("native"),
    "Claude's thinking in `reasoning_details`": Rule("ignored", (), _FOREIGN),
    "Claude's thinking on a call (`extra_content`)": Rule("ignored", (), _FOREIGN),
    "OpenAI's thinking in `reasoning_details`": Rule("ignored", (), _FOREIGN),
    "OpenAI's thinking on a call (`extra_content`)": Rule("ignored", (), _FOREIGN),
    "function tool": Rule("native"),
    "`strict` function tool": Rule("native", (), "by the mode `VALIDATED`"),
    "custom tool": Rule("emulated", (), "by a function with one string"),
    "grammar of a custom tool": Rule("ignored", (), "told in the description, not enforced"),
    "tool of an unknown type": Rule("rejected", (), "it might do anything"),
    **dict.fromkeys(
        (
            *("`tool_choice: none`", "`tool_choice: auto`", "`tool_choice: required`"),
            *("`tool_choice` of one function", "`tool_choice` of one custom tool"),
            *("`tool_choice: allowed_tools`", "`response_format: json_object`"),
        ),
        Rule("native"),
    ),
    "`response_format: json_schema`": Rule("native", (), _SCHEMA),
    "`response_format: json_schema`, strict": Rule("native", (), _STRICT),
}
"""The verdict on each top-level field, and on each kind of content."""
