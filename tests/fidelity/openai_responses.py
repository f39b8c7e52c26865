"""OpenAI's Responses API."""

from tests.fidelity.cells import Cell, Column, emulated, ignored, native, rejected, shown_by
from tests.fidelity.openai_chat import USAGE
from translators.openai_responses.fidelity import RULES
from translators.openai_responses.translator import OpenAIResponsesTranslator

__all__ = ["COLUMN"]

_PLAIN = "gpt-4o"
"""It does not reason."""

_CELLS: dict[str, tuple[Cell, ...]] = {
    "audio": (rejected(),),
    "frequency_penalty": (ignored(),),
    "function_call": (native({"body/tool_choice/name": "look"}),),
    "functions": (
        native(
            {
                "body/tools/0/name": "look",
                "body/tools/0/parameters/properties": {},
                "body/tools/0/strict": False,
                "body/parallel_tool_calls": False,
            }
        ),
    ),
    "logit_bias": (rejected(),),
    "logprobs": (
        native({"body/include": ["message.output_text.logprobs"]}, model=_PLAIN),
        rejected(),
    ),
    "max_completion_tokens": (native({"body/max_output_tokens": 77}),),
    "max_tokens": (native({"body/max_output_tokens": 77}),),
    "messages": (native({"body/input/0/content": "Hello"}),),
    "metadata": (native({"body/metadata/job": "7"}),),
    "modalities": (rejected(),),
    "model": (native({"path": "/responses", "body/model": "gpt-5.6"}),),
    "moderation": (native({"body/moderation/model": "omni-moderation-latest"}),),
    "n": (emulated({"choices": 2}),),
    "parallel_tool_calls": (native({"body/parallel_tool_calls": False}),),
    "prediction": (ignored(),),
    "presence_penalty": (ignored(),),
    "prompt_cache_key": (native({"body/prompt_cache_key": "job-7"}),),
    "prompt_cache_options": (native({"body/prompt_cache_options/mode": "implicit"}),),
    "prompt_cache_retention": (native({"body/prompt_cache_retention": "24h"}),),
    "reasoning_effort": (native({"body/reasoning/effort": "low"}),),
    "response_format": (native({"body/text/format/schema/required": ["city"]}),),
    "safety_identifier": (native({"body/safety_identifier": "user-7"}),),
    "seed": (ignored(),),
    "service_tier": (native({"body/service_tier": "default"}),),
    "stop": (rejected(),),
    "store": (native({"body/store": True}),),
    "stream": (native({"body/stream": True, "body/stream_options/include_obfuscation": False}),),
    "stream_options": (shown_by(USAGE),),
    "temperature": (native({"body/temperature": 0.3}, model=_PLAIN), ignored()),
    "tool_choice": (native({"body/tool_choice": "required"}),),
    "tools": (
        native(
            {
                "body/tools/0/name": "look",
                "body/tools/0/parameters/properties": {},
                "body/tools/0/strict": False,
            }
        ),
    ),
    "top_logprobs": (native({"body/top_logprobs": 2}, model=_PLAIN), rejected("logprobs")),
    "top_p": (native({"body/top_p": 0.5}, model=_PLAIN), ignored()),
    "user": (native({"body/user": "user-7"}),),
    "verbosity": (native({"body/text/verbosity": "low"}),),
    "web_search_options": (emulated({"body/tools/0/type": "web_search"}),),
    "an unknown field": (ignored(),),
    "`system` message": (
        native({"body/input/0/content": "Be brief.", "body/input/1/content": "Hi"}),
    ),
    "`developer` message": (
        native({"body/input/0/content": "Be brief.", "body/input/1/content": "Hi"}),
    ),
    "`system` message later on": (native({"body/input/3/content": "Be brief."}),),
    "`name` of a user": (ignored(),),
    "`name` of an assistant": (ignored(),),
    "`text` part": (native({"body/input/0/content/1/text": "more"}),),
    "image by data URL": (
        native({"body/input/0/content/1/image_url": "data:image/png;base64,iVBORw0KGgo="}),
    ),
    "image by URL": (native({"body/input/0/content/1/image_url": "https://example.com/a.png"}),),
    "`detail` of an image": (native({"body/input/0/content/0/detail": "low"}),),
    "`input_audio` part": (rejected("messages[0].content[1]"),),
    "`file` with `file_data`": (
        native(
            {
                "body/input/0/content/1/file_data": "data:application/pdf;base64,JVBERi0xLjcK",
                "body/input/0/content/1/filename": "a.pdf",
            }
        ),
    ),
    "`file` with OpenAI's `file_id`": (native({"body/input/0/content/1/file_id": "file-abc123"}),),
    "part of an unknown type": (rejected("messages[0].content[1]"),),
    "`cache_control` on a part": (ignored(),),
    "`prompt_cache_breakpoint` on a part": (
        native(
            {
                "body/input/0/content/1/text": "x",
                "body/input/0/content/1/prompt_cache_breakpoint/mode": "explicit",
            }
        ),
    ),
    "`refusal` of an earlier answer": (
        native({"body/input/1/content/0/refusal": "No.", "body/input/2/content": "Hi"}),
    ),
    "`audio` of an earlier answer": (rejected("messages[1].audio"),),
    "answer begun by the client": (native({"body/input/1/content": "Yes."}),),
    "function call and result": (
        native(
            {
                "body/input/1/call_id": "call_1",
                "body/input/1/name": "look",
                "body/input/1/arguments": "{}",
                "body/input/2/call_id": "call_1",
            }
        ),
    ),
    "image in a tool result": (
        native({"body/input/2/output/0/image_url": "data:image/png;base64,iVBORw0KGgo="}),
    ),
    "custom call and result": (
        native(
            {
                "body/input/1/call_id": "call_1",
                "body/input/1/name": "shell",
                "body/input/1/input": "ls",
                "body/input/2/call_id": "call_1",
            }
        ),
    ),
    "deprecated `function_call` and result": (
        native(
            {
                "body/input/1/call_id": "call_fc_1",
                "body/input/1/name": "look",
                "body/input/1/arguments": "{}",
                "body/input/2/call_id": "call_fc_1",
            }
        ),
    ),
    "`reasoning_content` alone, unsigned": (ignored(),),
    "Claude's thinking in `reasoning_details`": (ignored(),),
    "Gemini's thinking in `reasoning_details`": (ignored(),),
    "OpenAI's thinking in `reasoning_details`": (
        native(
            {
                "body/input/1/summary": [],
                "body/input/1/encrypted_content": "gAAA",
                "body/input/2/content": "Yes.",
                "body/input/3/content": "Hi",
            }
        ),
    ),
    "Claude's thinking on a call (`extra_content`)": (
        ignored("messages[].tool_calls[].extra_content.anthropic"),
    ),
    "Gemini's thinking on a call (`extra_content`)": (
        ignored("messages[].tool_calls[].extra_content.google"),
    ),
    "OpenAI's thinking on a call (`extra_content`)": (
        native(
            {
                "body/input/1/summary": [],
                "body/input/1/encrypted_content": "gAAA",
                "body/input/2/name": "look",
                "body/input/2/arguments": "{}",
            }
        ),
    ),
    "function tool": (
        native(
            {
                "body/tools/0/name": "look",
                "body/tools/0/parameters/properties": {},
                "body/tools/0/strict": False,
            }
        ),
    ),
    "`strict` function tool": (native({"body/tools/0/strict": True}),),
    "custom tool": (
        native({"body/tools/0/name": "shell", "body/tools/0/description": "Runs a line."}),
    ),
    "grammar of a custom tool": (
        native({"body/tools/0/format/syntax": "regex", "body/tools/0/format/definition": "a+"}),
    ),
    "tool of an unknown type": (rejected("tools[0].type"),),
    "`tool_choice: none`": (native({"body/tool_choice": "none"}),),
    "`tool_choice: auto`": (native({"body/tool_choice": "auto"}),),
    "`tool_choice: required`": (native({"body/tool_choice": "required"}),),
    "`tool_choice` of one function": (native({"body/tool_choice/name": "look"}),),
    "`tool_choice` of one custom tool": (native({"body/tool_choice/name": "shell"}),),
    "`tool_choice: allowed_tools`": (
        native({"body/tool_choice/mode": "required", "body/tool_choice/tools/0/name": "look"}),
    ),
    "`response_format: json_object`": (native({"body/text/format/type": "json_object"}),),
    "`response_format: json_schema`": (
        native(
            {
                "body/text/format/name": "c",
                "body/text/format/schema/required/0": "city",
                "body/text/format/schema/additionalProperties": False,
                "body/text/format/strict": False,
            }
        ),
    ),
    "`response_format: json_schema`, strict": (
        native(
            {
                "body/text/format/name": "c",
                "body/text/format/schema/required/0": "city",
                "body/text/format/schema/additionalProperties": False,
                "body/text/format/strict": True,
            }
        ),
    ),
}

COLUMN = Column("openai_responses", OpenAIResponsesTranslator(), "gpt-5.6", _CELLS, RULES)
