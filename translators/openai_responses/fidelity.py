"""What becomes of every request field on the Responses API.

https://developers.openai.com/api/reference/resources/responses/methods/create and
`response_create_params.py` of openai 3.54 list what there is to translate to.
"""

from translators.fidelity import Rule

__all__ = ["RULES"]

_NO_FIELD = "the Responses API has no such field"
_FOREIGN = "only the vendor whose model thought it can read it"
_SAMPLING = "sent to the models that take it; those that reason refuse it, and it is reported"

RULES: dict[str, Rule] = {
    "model": Rule("native"),
    "messages": Rule("native", reason="per part; see `content` and `messages`"),
    "audio": Rule("rejected", reason="the Responses API does not speak"),
    "frequency_penalty": Rule("ignored", (0,), _NO_FIELD),
    "function_call": Rule("native"),
    "functions": Rule("native"),
    "logit_bias": Rule("rejected", ({},), _NO_FIELD),
    "logprobs": Rule("native", (False,), "rejected for models that reason: they have none"),
    "max_completion_tokens": Rule("native", (), "at least 16 there"),
    "max_tokens": Rule("native", (), "at least 16 there"),
    "metadata": Rule("native"),
    "modalities": Rule("rejected", (["text"], []), "the Responses API answers with text only"),
    "moderation": Rule("native"),
    "n": Rule("emulated", (1,), "one request for each answer"),
    "parallel_tool_calls": Rule("native"),
    "prediction": Rule("ignored", (), _NO_FIELD),
    "presence_penalty": Rule("ignored", (0,), _NO_FIELD),
    "prompt_cache_key": Rule("native"),
    "prompt_cache_options": Rule("native"),
    "prompt_cache_retention": Rule("native"),
    "reasoning": Rule("native", reason="the API's own field"),
    "reasoning_effort": Rule("native", (), "reported for models that do not reason"),
    "response_format": Rule("native", ({"type": "text"},)),
    "safety_identifier": Rule("native"),
    "seed": Rule("ignored", (), _NO_FIELD),
    "service_tier": Rule("native"),
    # Where an answer ends is what the caller gets, and text behind a stop sequence may be acted
    # on: no hint. The models that need this API refuse the field on chat completions too.
    "stop": Rule("rejected", ([], ""), "it has no stop sequences; leave `stop` out"),
    "store": Rule("native", (), "false where the request does not ask for it"),
    "stream": Rule("native"),
    "stream_options": Rule("native", (), "token counts always come with the last event"),
    "temperature": Rule("native", (1,), _SAMPLING),
    "tool_choice": Rule("native"),
    "tools": Rule("native"),
    "top_logprobs": Rule("native", (0,), "beside `logprobs`"),
    "top_p": Rule("native", (1,), _SAMPLING),
    "user": Rule("native"),
    "verbosity": Rule("native"),
    "web_search_options": Rule(
        "emulated", (), "by the tool `web_search`; the model may not use it"
    ),
    "an unknown field": Rule("ignored", (), _NO_FIELD),
    **dict.fromkeys(
        (
            *("`system` message", "`developer` message", "`system` message later on"),
            *("`text` part", "image by data URL", "image by URL", "`detail` of an image"),
            *("`file` with `file_data`", "`file` with OpenAI's `file_id`"),
            *("`prompt_cache_breakpoint` on a part", "`refusal` of an earlier answer"),
            *("answer begun by the client", "function call and result"),
            *("image in a tool result", "custom call and result"),
            *("OpenAI's thinking in `reasoning_details`", "function tool"),
            *("`strict` function tool", "custom tool", "grammar of a custom tool"),
            *("`tool_choice: none`", "`tool_choice: auto`", "`tool_choice: required`"),
            *("`tool_choice` of one function", "`tool_choice` of one custom tool"),
            *("`tool_choice: allowed_tools`", "`response_format: json_object`"),
            *("`response_format: json_schema`", "`response_format: json_schema`, strict"),
            "OpenAI's thinking on a call (`extra_content`)",
        ),
        Rule("native"),
    ),
    "`name` of a user": Rule("ignored", (), _NO_FIELD),
    "`name` of an assistant": Rule("ignored", (), _NO_FIELD),
    "`input_audio` part": Rule("rejected", (), "the Responses API does not listen to audio"),
    "part of an unknown type": Rule("rejected", (), "it might be anything"),
    "`cache_control` on a part": Rule("ignored", (), "caching is automatic there"),
    "`audio` of an earlier answer": Rule("rejected", (), "the API has no spoken answers"),
    "deprecated `function_call` and result": Rule("native", (), "with an id of our own"),
    "tool of an unknown type": Rule("rejected", (), "it might do anything"),
    "`reasoning_content` alone, unsigned": Rule("ignored", (), _FOREIGN),
    "Claude's thinking in `reasoning_details`": Rule("ignored", (), _FOREIGN),
    "Gemini's thinking in `reasoning_details`": Rule("ignored", (), _FOREIGN),
    "Claude's thinking on a call (`extra_content`)": Rule("ignored", (), _FOREIGN),
    "Gemini's thinking on a call (`extra_content`)": Rule("ignored", (), _FOREIGN),
}
"""The verdict on each top-level field, and on each kind of content."""
