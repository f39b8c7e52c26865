"""Anthropic's Messages API."""

from hashlib import sha256

from tests.fidelity.cells import Cell, Column, emulated, ignored, native, rejected, shown_by
from tests.fidelity.openai_chat import USAGE
from translators.anthropic_messages.fidelity import RULES
from translators.anthropic_messages.translator import AnthropicMessagesTranslator

__all__ = ["COLUMN"]

_OLDER = "claude-sonnet-4-5"
_UNFORCED = "claude-opus-5-5"
"""It has lost the forced choice."""

_USER = sha256(b"user-7").hexdigest()

_CELLS: dict[str, tuple[Cell, ...]] = {
    "audio": (rejected(),),
    "frequency_penalty": (ignored(),),
    "function_call": (native({"body/tool_choice/name": "look"}),),
    "functions": (
        native(
            {
                "body/tools/0/name": "look",
                "body/tools/0/input_schema/properties": {},
                "body/tool_choice/disable_parallel_tool_use": True,
            }
        ),
    ),
    "logit_bias": (rejected(),),
    "logprobs": (rejected(),),
    "max_completion_tokens": (native({"body/max_tokens": 77}),),
    "max_tokens": (native({"body/max_tokens": 77}),),
    "messages": (native({"body/messages/0/content/0/text": "Hello"}),),
    "metadata": (ignored(),),
    "modalities": (rejected(),),
    "model": (native({"path": "/v1/messages", "body/model": "claude-sonnet-5"}),),
    "moderation": (rejected(),),
    "n": (emulated({"choices": 2}),),
    "parallel_tool_calls": (native({"body/tool_choice/disable_parallel_tool_use": True}),),
    "prediction": (ignored(),),
    "presence_penalty": (ignored(),),
    "prompt_cache_key": (ignored(),),
    "prompt_cache_options": (emulated({"body/cache_control/type": "ephemeral"}),),
    "prompt_cache_retention": (emulated({"body/cache_control/ttl": "1h"}),),
    "reasoning_effort": (
        native({"body/thinking/display": "summarized", "body/output_config/effort": "low"}),
    ),
    "response_format": (native({"body/output_config/format/schema/required": ["city"]}),),
    "safety_identifier": (emulated({"body/metadata/user_id": _USER}),),
    "seed": (ignored(),),
    "service_tier": (emulated({"body/service_tier": "standard_only"}),),
    "stop": (native({"body/stop_sequences/0": "END"}),),
    "store": (ignored(),),
    "stream": (native({"body/stream": True}),),
    "stream_options": (shown_by(USAGE),),
    "temperature": (native({"body/temperature": 0.3}, model=_OLDER), ignored()),
    "tool_choice": (native({"body/tool_choice/type": "any"}),),
    "tools": (native({"body/tools/0/name": "look", "body/tools/0/input_schema/properties": {}}),),
    "top_logprobs": (rejected("logprobs"),),
    "top_p": (native({"body/top_p": 0.5}, model=_OLDER), ignored()),
    "user": (emulated({"body/metadata/user_id": _USER}),),
    "verbosity": (ignored(),),
    "web_search_options": (emulated({"body/tools/0/name": "web_search"}),),
    "an unknown field": (ignored(),),
    "`system` message": (native({"body/system/0/text": "Be brief."}),),
    "`developer` message": (native({"body/system/0/text": "Be brief."}),),
    "`system` message later on": (native({"body/messages/3/content/0/text": "Be brief."}),),
    "`name` of a user": (ignored(),),
    "`name` of an assistant": (ignored(),),
    "`text` part": (native({"body/messages/0/content/1/text": "more"}),),
    "image by data URL": (
        native(
            {
                "body/messages/0/content/1/source/media_type": "image/png",
                "body/messages/0/content/1/source/data": "iVBORw0KGgo=",
            }
        ),
    ),
    "image by URL": (
        native({"body/messages/0/content/1/source/url": "https://example.com/a.png"}),
    ),
    "`detail` of an image": (ignored(),),
    "`input_audio` part": (rejected("messages[0].content[1]"),),
    "`file` with `file_data`": (
        native(
            {
                "body/messages/0/content/1/source/media_type": "application/pdf",
                "body/messages/0/content/1/source/data": "JVBERi0xLjcK",
                "body/messages/0/content/1/title": "a.pdf",
            }
        ),
    ),
    "`file` with OpenAI's `file_id`": (rejected("messages[0].content[1].file.file_id"),),
    "part of an unknown type": (rejected("messages[0].content[1]"),),
    "`cache_control` on a part": (
        native({"body/messages/0/content/1/cache_control/type": "ephemeral"}),
    ),
    "`prompt_cache_breakpoint` on a part": (
        native({"body/messages/0/content/1/cache_control/type": "ephemeral"}),
    ),
    "`refusal` of an earlier answer": (
        native({"body/messages/1/content/0/text": "No.", "body/messages/2/content/0/text": "Hi"}),
    ),
    "`audio` of an earlier answer": (rejected("messages[1].audio"),),
    "answer begun by the client": (rejected(),),
    "function call and result": (
        native(
            {
                "body/messages/1/content/0/name": "look",
                "body/messages/1/content/0/input": {},
                "body/messages/2/content/0/tool_use_id": "call_1",
                "body/messages/2/content/0/content/0/text": "fine",
            }
        ),
    ),
    "image in a tool result": (
        native(
            {
                "body/messages/2/content/0/content/0/source/media_type": "image/png",
                "body/messages/2/content/0/content/0/source/data": "iVBORw0KGgo=",
            }
        ),
    ),
    "custom call and result": (
        native(
            {
                "body/messages/1/content/0/name": "shell",
                "body/messages/1/content/0/input/input": "ls",
                "body/messages/2/content/0/tool_use_id": "call_1",
                "body/messages/2/content/0/content/0/text": "fine",
            }
        ),
    ),
    "deprecated `function_call` and result": (
        native(
            {
                "body/messages/1/content/0/name": "look",
                "body/messages/1/content/0/input": {},
                "body/messages/2/content/0/tool_use_id": "call_fc_1",
                "body/messages/2/content/0/content/0/text": "fine",
            }
        ),
    ),
    "`reasoning_content` alone, unsigned": (ignored(),),
    "Claude's thinking in `reasoning_details`": (
        native(
            {
                "body/messages/1/content/0/thinking": "Hm.",
                "body/messages/1/content/0/signature": "c2ln",
                "body/messages/1/content/1/text": "Yes.",
            }
        ),
    ),
    "Gemini's thinking in `reasoning_details`": (ignored(),),
    "OpenAI's thinking in `reasoning_details`": (ignored(),),
    "Claude's thinking on a call (`extra_content`)": (
        native(
            {
                "body/messages/1/content/0/thinking": "Hm.",
                "body/messages/1/content/0/signature": "c2ln",
                "body/messages/1/content/1/name": "look",
                "body/messages/1/content/1/input": {},
            }
        ),
    ),
    "Gemini's thinking on a call (`extra_content`)": (
        ignored("messages[].tool_calls[].extra_content.google"),
    ),
    "OpenAI's thinking on a call (`extra_content`)": (
        ignored("messages[].tool_calls[].extra_content.openai"),
    ),
    "function tool": (
        native({"body/tools/0/name": "look", "body/tools/0/input_schema/properties": {}}),
    ),
    "`strict` function tool": (native({"body/tools/0/strict": True}),),
    "custom tool": (
        emulated(
            {
                "body/tools/0/name": "shell",
                "body/tools/0/description": "Runs a line.",
                "body/tools/0/input_schema/required/0": "input",
            },
            param="tools[].custom",
        ),
    ),
    "grammar of a custom tool": (ignored(),),
    "tool of an unknown type": (rejected("tools[0].type"),),
    "`tool_choice: none`": (native({"body/tool_choice/type": "none"}),),
    "`tool_choice: auto`": (native({"body/tool_choice/type": "auto"}),),
    "`tool_choice: required`": (
        native({"body/tool_choice/type": "any"}),
        emulated({"body/messages/1/role": "system"}, param="tool_choice", model=_UNFORCED),
    ),
    "`tool_choice` of one function": (native({"body/tool_choice/name": "look"}),),
    "`tool_choice` of one custom tool": (native({"body/tool_choice/name": "shell"}),),
    "`tool_choice: allowed_tools`": (emulated({"body/tool_choice/type": "any"}),),
    "`response_format: json_object`": (emulated({"contract": {"schema": None}}),),
    "`response_format: json_schema`": (
        native(
            {
                "body/output_config/format/schema/required/0": "city",
                "body/output_config/format/schema/additionalProperties": False,
                "body/output_config/format/schema/title": "c",
            }
        ),
    ),
    "`response_format: json_schema`, strict": (
        native(
            {
                "body/output_config/format/schema/required/0": "city",
                "body/output_config/format/schema/additionalProperties": False,
                "body/output_config/format/schema/title": "c",
            }
        ),
    ),
}

COLUMN = Column(
    "anthropic_messages", AnthropicMessagesTranslator(), "claude-sonnet-5", _CELLS, RULES
)
