"""The messages of a `GenerateContentRequest`, as google-genai 3.4 and recordings show them.

A field's kind is a scalar, an enumeration (`enum:`) or a message; `*` makes it repeated, `{}` a
map. `struct` is any JSON object and `value` any JSON; the options of the service's own tools are
structs, for they are not checked.
"""

from collections.abc import Mapping

__all__ = ["ENUMS", "MESSAGES", "ONE_OF", "full_name"]

# In the order of their numbers, by which they may be named, too.
ENUMS: Mapping[str, tuple[str, ...]] = {
    "FunctionCallingConfig.Mode": ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
    "FunctionDeclaration.Behavior": ("UNSPECIFIED", "BLOCKING", "NON_BLOCKING"),
    "FunctionResponse.Scheduling": (
        "SCHEDULING_UNSPECIFIED",
        "SILENT",
        "WHEN_IDLE",
        "INTERRUPT",
    ),
    "GenerationConfig.MediaResolution": (
        "MEDIA_RESOLUTION_UNSPECIFIED",
        "MEDIA_RESOLUTION_LOW",
        "MEDIA_RESOLUTION_MEDIUM",
        "MEDIA_RESOLUTION_HIGH",
        "MEDIA_RESOLUTION_ULTRA_HIGH",
    ),
    "GenerationConfig.Modality": ("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"),
    "HarmCategory": (
        "HARM_CATEGORY_UNSPECIFIED",
        "HARM_CATEGORY_DEROGATORY",
        "HARM_CATEGORY_TOXICITY",
        "HARM_CATEGORY_VIOLENCE",
        "HARM_CATEGORY_SEXUAL",
        "HARM_CATEGORY_MEDICAL",
        "HARM_CATEGORY_DANGEROUS",
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
    ),
    "SafetySetting.HarmBlockThreshold": (
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
        "BLOCK_LOW_AND_ABOVE",
        "BLOCK_MEDIUM_AND_ABOVE",
        "BLOCK_ONLY_HIGH",
        "BLOCK_NONE",
        "OFF",
    ),
    "ServiceTier": ("UNSPECIFIED", "FLEX", "STANDARD", "PRIORITY"),
    "ThinkingConfig.ThinkingLevel": (
        "THINKING_LEVEL_UNSPECIFIED",
        "LOW",
        "HIGH",
        "MEDIUM",
        "MINIMAL",
        "XHIGH",
    ),
    "Type": (
        "TYPE_UNSPECIFIED",
        "STRING",
        "NUMBER",
        "INTEGER",
        "BOOLEAN",
        "ARRAY",
        "OBJECT",
        "NULL",
    ),
}
_MEDIA: Mapping[str, str] = {
    "media_resolution": "struct",
    "video_metadata": "struct",
    "media_processing": "struct",
    "document_metadata": "struct",
    "spreadsheet_metadata": "struct",
    "audio_metadata": "struct",
}
MESSAGES: Mapping[str, Mapping[str, str]] = {
    "GenerateContentRequest": {
        "model": "string",
        "contents": "Content*",
        "system_instruction": "Content",
        "tools": "Tool*",
        "tool_config": "ToolConfig",
        "safety_settings": "SafetySetting*",
        "generation_config": "GenerationConfig",
        "cached_content": "string",
        "continuation_token": "bytes",
        "labels": "string{}",
        "service_tier": "enum:ServiceTier",
        "store": "bool",
    },
    "CountTokensRequest": {
        "contents": "Content*",
        "generate_content_request": "GenerateContentRequest",
    },
    "Content": {"role": "string", "parts": "Part*"},
    "Part": {
        "text": "string",
        "thought": "bool",
        "thought_signature": "bytes",
        "inline_data": "Blob",
        "file_data": "FileData",
        "function_call": "FunctionCall",
        "function_response": "FunctionResponse",
        "executable_code": "struct",
        "code_execution_result": "struct",
        "tool_call": "struct",
        "tool_response": "struct",
        "audio_transcription": "struct",
        "part_metadata": "struct",
        "speech_metadata": "struct",
        **_MEDIA,
    },
    "Blob": {"mime_type": "string", "data": "bytes", "display_name": "string"},
    "FileData": {"mime_type": "string", "file_uri": "string", "display_name": "string"},
    "FunctionCall": {"id": "string", "name": "string", "args": "struct"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "struct",
        "parts": "FunctionResponsePart*",
        "scheduling": "enum:FunctionResponse.Scheduling",
        "will_continue": "bool",
    },
    "FunctionResponsePart": {"inline_data": "Blob", "file_data": "FileData", **_MEDIA},
    "Tool": {
        "function_declarations": "FunctionDeclaration*",
        "code_execution": "struct",
        "computer_use": "struct",
        "file_search": "struct",
        "google_maps": "struct",
        "google_search": "struct",
        "google_search_retrieval": "struct",
        "mcp_servers": "struct*",
        "url_context": "struct",
    },
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "behavior": "enum:FunctionDeclaration.Behavior",
        "parameters": "Schema",
        "parameters_json_schema": "value",
        "response": "Schema",
        "response_json_schema": "value",
    },
    "Schema": {
        "type": "enum:Type",
        "format": "string",
        "title": "string",
        "description": "string",
        "nullable": "bool",
        "enum": "string*",
        "items": "Schema",
        "max_items": "int64",
        "min_items": "int64",
        "properties": "Schema{}",
        "required": "string*",
        "min_properties": "int64",
        "max_properties": "int64",
        "minimum": "double",
        "maximum": "double",
        "min_length": "int64",
        "max_length": "int64",
        "pattern": "string",
        "example": "value",
        "any_of": "Schema*",
        "property_ordering": "string*",
        "default": "value",
    },
    "ToolConfig": {
        "function_calling_config": "FunctionCallingConfig",
        "retrieval_config": "struct",
        "include_server_side_tool_invocations": "bool",
    },
    "FunctionCallingConfig": {
        "mode": "enum:FunctionCallingConfig.Mode",
        "allowed_function_names": "string*",
    },
    "SafetySetting": {
        "category": "enum:HarmCategory",
        "threshold": "enum:SafetySetting.HarmBlockThreshold",
    },
    "GenerationConfig": {
        "audio_transcription_config": "struct",
        "candidate_count": "int32",
        "enable_affective_dialog": "bool",
        "enable_enhanced_civic_answers": "bool",
        "frequency_penalty": "float",
        "image_config": "struct",
        "logprobs": "int32",
        "max_output_tokens": "int32",
        "media_resolution": "enum:GenerationConfig.MediaResolution",
        "presence_penalty": "float",
        "response_json_schema": "value",
        "response_logprobs": "bool",
        "response_mime_type": "string",
        "response_modalities": "enum:GenerationConfig.Modality*",
        "response_schema": "Schema",
        "seed": "int32",
        "speech_config": "struct",
        "stop_sequences": "string*",
        "temperature": "float",
        "thinking_config": "ThinkingConfig",
        "top_k": "float",
        "top_p": "float",
        "translation_config": "struct",
    },
    "ThinkingConfig": {
        "include_thoughts": "bool",
        "thinking_budget": "int32",
        "thinking_level": "enum:ThinkingConfig.ThinkingLevel",
    },
}
# Fields of a message of which there may be only one.
ONE_OF: Mapping[str, frozenset[str]] = {
    "Part": frozenset(
        {
            "text",
            "inline_data",
            "file_data",
            "function_call",
            "function_response",
            "executable_code",
            "code_execution_result",
            "tool_call",
            "tool_response",
            "audio_transcription",
        }
    ),
    "FunctionResponsePart": frozenset({"inline_data", "file_data"}),
}


def full_name(kind: str, version: str) -> str:
    """Return how a message or an enumeration is called in refusals."""
    if kind in {"struct", "value"}:
        return f"type.googleapis.com/google.protobuf.{kind.title()}"
    name = kind.removeprefix("enum:")
    return f"type.googleapis.com/google.ai.generativelanguage.{version}.{name}"
