"""What goes in and what comes out: plain dataclasses, and the protocol of a client.

Names and meanings are those of OpenAI's Chat Completions API, whose request and answer these
carry; where that is a nest of objects, this is flat. Nothing here does any work.
"""

from execution_platform.spi.answer import (
    ChatChunk,
    ChatResponse,
    Choice,
    FidelityReport,
    Served,
    Usage,
)
from execution_platform.spi.client import ChatStream, LLMClient
from execution_platform.spi.message import (
    AudioPart,
    ContentPart,
    FilePart,
    ImagePart,
    Message,
    OtherPart,
    RefusalPart,
    TextPart,
    ToolCall,
)
from execution_platform.spi.request import ChatRequest
from execution_platform.spi.tools import (
    AllowedTools,
    NamedTool,
    ResponseFormat,
    ToolChoice,
    ToolDefinition,
    ToolParameter,
)

__all__ = [
    "AllowedTools",
    "AudioPart",
    "ChatChunk",
    "ChatRequest",
    "ChatResponse",
    "ChatStream",
    "Choice",
    "ContentPart",
    "FidelityReport",
    "FilePart",
    "ImagePart",
    "LLMClient",
    "Message",
    "NamedTool",
    "OtherPart",
    "RefusalPart",
    "ResponseFormat",
    "Served",
    "TextPart",
    "ToolCall",
    "ToolChoice",
    "ToolDefinition",
    "ToolParameter",
    "Usage",
]
