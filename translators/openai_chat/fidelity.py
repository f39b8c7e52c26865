"""Verdicts of this dialect: the target speaks the client's own language.

Every field is passed on as it stands, unknown ones too: compatible servers define their own
(`top_k`, `guided_json`), and a server that knows a field not answers with its own 400.
What other providers' answers carry beyond OpenAI's format is the exception: OpenAI refuses such
keys when a client sends a message back, so they are stripped and reported unless the provider's
row says `message_extensions: forward`.
"""

from collections.abc import Mapping

from translators.fidelity import Rule
from translators.wire.request import ChatCompletionRequest

__all__ = ["CALL_EXTENSIONS", "MESSAGE_EXTENSIONS", "RULES", "SILENT_EXTENSIONS"]

MESSAGE_EXTENSIONS = frozenset(
    {
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "thinking_blocks",
        "provider_specific_fields",
        "annotations",
        "citations",
        "images",
    }
)
"""Keys of an assistant message that belong to the answers of gateways and other servers."""

CALL_EXTENSIONS = frozenset({"index", "extra_content", "provider_specific_fields"})
"""Keys of a tool call in such a message."""

SILENT_EXTENSIONS = frozenset({"index", "annotations", "citations"})
"""Of these nothing is lost: an index repeats the position, the others are about the text, which
the model gets."""

_KINDS = (
    *("`system` message", "`developer` message", "`system` message later on"),
    *("`name` of a user", "`name` of an assistant", "`text` part", "image by data URL"),
    *("image by URL", "`detail` of an image", "`input_audio` part", "`file` with `file_data`"),
    *("`file` with OpenAI's `file_id`", "part of an unknown type", "`cache_control` on a part"),
    *("`prompt_cache_breakpoint` on a part", "`refusal` of an earlier answer"),
    *("`audio` of an earlier answer", "answer begun by the client", "function call and result"),
    *("image in a tool result", "custom call and result", "deprecated `function_call` and result"),
    *("function tool", "`strict` function tool", "custom tool", "grammar of a custom tool"),
    *("tool of an unknown type", "`tool_choice: none`", "`tool_choice: auto`"),
    *("`tool_choice: required`", "`tool_choice` of one function"),
    *("`tool_choice` of one custom tool", "`tool_choice: allowed_tools`"),
    *("`response_format: json_object`", "`response_format: json_schema`"),
    "`response_format: json_schema`, strict",
)

_VENDORS = ("Claude", "Gemini", "OpenAI")

RULES: Mapping[str, Rule] = {
    **{name: Rule("native") for name in (*ChatCompletionRequest.model_fields, *_KINDS)},
    "an unknown field": Rule("native", reason="passed on; the server says what it thinks of it"),
    "max_tokens": Rule("native", reason="under the name that the model takes"),
    "stream_options": Rule("native", reason="streams are always asked for their token counts"),
    **dict.fromkeys(
        (
            "`reasoning_content` alone, unsigned",
            *(f"{vendor}'s thinking in `reasoning_details`" for vendor in _VENDORS),
            *(f"{vendor}'s thinking on a call (`extra_content`)" for vendor in _VENDORS),
        ),
        Rule("ignored", (), "OpenAI refuses the key; `message_extensions: forward` passes it on"),
    ),
}
"""The verdict on each top-level field, and on each kind of content."""
