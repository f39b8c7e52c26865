"""Verdicts of this dialect: the target speaks the client's own language.

Every field is passed on as it stands, unknown ones too: compatible servers define their own
(`top_k`, `guided_json`), and a server that knows a field not answers with its own 400.
What other providers' answers carry beyond OpenAI's format is the exception: OpenAI refuses such
keys when a client sends a message back, so they are stripped and reported unless the provider's
row says `message_extensions: forward`.
"""

__all__ = ["CALL_EXTENSIONS", "MESSAGE_EXTENSIONS", "SILENT_EXTENSIONS"]

MESSAGE_EXTENSIONS = frozenset(
    {
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "thinking_blocks",
        "provider_specific_fields",
        "annotations",
        "images",
    }
)
"""Keys of an assistant message that belong to the answers of gateways and other servers."""

CALL_EXTENSIONS = frozenset({"index", "extra_content", "provider_specific_fields"})
"""Keys of a tool call in such a message."""

SILENT_EXTENSIONS = frozenset({"index", "annotations"})
"""Of these nothing is lost: an index repeats the position, annotations repeat the text."""
