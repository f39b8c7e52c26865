"""Gemini's generateContent."""

from base64 import b64encode

from tests.fidelity.cells import Cell, Column, emulated, ignored, native, rejected, shown_by
from tests.fidelity.openai_chat import USAGE
from translators.gemini_generate.fidelity import RULES
from translators.gemini_generate.translator import GeminiGenerateTranslator

__all__ = ["COLUMN"]

_OLDER = "gemini-2.5-flash"
_UNSIGNED = b64encode(b"skip_thought_signature_validator").decode()
_SIGNATURE = "messages[].tool_calls[].extra_content.google.thought_signature"
_FETCHED = "tests/http/test_media.py::test_row_49_gemini_gets_the_bytes_of_an_image_by_address"

_CELLS: dict[str, tuple[Cell, ...]] = {
    "audio": (rejected(),),
    "frequency_penalty": (
        native({"body/generationConfig/frequencyPenalty": 0.5}, model=_OLDER),
        ignored(),
    ),
    "function_call": (
        native(
            {
                "body/toolConfig/functionCallingConfig/mode": "ANY",
                "body/toolConfig/functionCallingConfig/allowedFunctionNames/0": "look",
            }
        ),
    ),
    "functions": (
        native(
            {
                "body/tools/0/functionDeclarations/0/name": "look",
                "body/tools/0/functionDeclarations/0/parametersJsonSchema/properties": {},
            }
        ),
    ),
    "logit_bias": (rejected(),),
    "logprobs": (native({"body/generationConfig/responseLogprobs": True}),),
    "max_completion_tokens": (native({"body/generationConfig/maxOutputTokens": 77}),),
    "max_tokens": (native({"body/generationConfig/maxOutputTokens": 77}),),
    "messages": (native({"body/contents/0/parts/0/text": "Hello"}),),
    "metadata": (ignored(),),
    "modalities": (rejected(),),
    "model": (native({"path": "/v1beta/models/gemini-3.6-flash:generateContent"}),),
    "moderation": (rejected(),),
    "n": (emulated({"choices": 2}),),
    "parallel_tool_calls": (ignored(),),
    "prediction": (ignored(),),
    "presence_penalty": (
        native({"body/generationConfig/presencePenalty": 0.5}, model=_OLDER),
        ignored(),
    ),
    "prompt_cache_key": (ignored(),),
    "prompt_cache_options": (ignored(),),
    "prompt_cache_retention": (ignored(),),
    "reasoning_effort": (
        native(
            {
                "body/generationConfig/thinkingConfig/includeThoughts": True,
                "body/generationConfig/thinkingConfig/thinkingLevel": "LOW",
            }
        ),
    ),
    "response_format": (native({"body/generationConfig/responseJsonSchema/required": ["city"]}),),
    "safety_identifier": (ignored(),),
    "seed": (native({"body/generationConfig/seed": 7}),),
    "service_tier": (native({"body/serviceTier": "standard"}),),
    "stop": (native({"body/generationConfig/stopSequences/0": "END"}),),
    "store": (ignored(),),
    "stream": (native({"path": "/v1beta/models/gemini-3.6-flash:streamGenerateContent?alt=sse"}),),
    "stream_options": (shown_by(USAGE),),
    "temperature": (native({"body/generationConfig/temperature": 0.3}, model=_OLDER), ignored()),
    "tool_choice": (native({"body/toolConfig/functionCallingConfig/mode": "ANY"}),),
    "tools": (
        native(
            {
                "body/tools/0/functionDeclarations/0/name": "look",
                "body/tools/0/functionDeclarations/0/parametersJsonSchema/properties": {},
            }
        ),
    ),
    "top_logprobs": (
        native(
            {"body/generationConfig/responseLogprobs": True, "body/generationConfig/logprobs": 2}
        ),
    ),
    "top_p": (native({"body/generationConfig/topP": 0.5}, model=_OLDER), ignored()),
    "user": (ignored(),),
    "verbosity": (ignored(),),
    "web_search_options": (emulated({"body/tools/0/googleSearch": {}}),),
    "an unknown field": (ignored(),),
    "`system` message": (native({"body/systemInstruction/parts/0/text": "Be brief."}),),
    "`developer` message": (native({"body/systemInstruction/parts/0/text": "Be brief."}),),
    "`system` message later on": (
        emulated(
            {"body/contents/2/parts/1/text": "[System instruction] Be brief."},
            param="messages[].role",
        ),
    ),
    "`name` of a user": (ignored(),),
    "`name` of an assistant": (ignored(),),
    "`text` part": (native({"body/contents/0/parts/1/text": "more"}),),
    "image by data URL": (
        native(
            {
                "body/contents/0/parts/1/inlineData/mimeType": "image/png",
                "body/contents/0/parts/1/inlineData/data": "iVBORw0KGgo=",
            }
        ),
    ),
    "image by URL": (shown_by(_FETCHED, "emulated"),),
    "`detail` of an image": (
        native({"body/contents/0/parts/0/mediaResolution/level": "MEDIA_RESOLUTION_LOW"}),
    ),
    "`input_audio` part": (
        native(
            {
                "body/contents/0/parts/1/inlineData/mimeType": "audio/wav",
                "body/contents/0/parts/1/inlineData/data": "UklGRgAAAABXQVZF",
            }
        ),
    ),
    "`file` with `file_data`": (
        native(
            {
                "body/contents/0/parts/1/inlineData/mimeType": "application/pdf",
                "body/contents/0/parts/1/inlineData/data": "JVBERi0xLjcK",
            }
        ),
    ),
    "`file` with OpenAI's `file_id`": (rejected("messages[0].content[1].file.file_id"),),
    "part of an unknown type": (rejected("messages[0].content[1]"),),
    "`cache_control` on a part": (ignored(),),
    "`prompt_cache_breakpoint` on a part": (ignored(),),
    "`refusal` of an earlier answer": (
        native({"body/contents/1/parts/0/text": "No.", "body/contents/2/parts/0/text": "Hi"}),
    ),
    "`audio` of an earlier answer": (rejected("messages[1].audio"),),
    "answer begun by the client": (rejected(),),
    "function call and result": (
        native(
            {
                "body/contents/1/parts/0/functionCall/name": "look",
                "body/contents/1/parts/0/functionCall/args": {},
                "body/contents/2/parts/0/functionResponse/name": "look",
            },
            model=_OLDER,
        ),
        emulated({"body/contents/1/parts/0/thoughtSignature": _UNSIGNED}, param=_SIGNATURE),
    ),
    "image in a tool result": (
        native(
            {
                "body/contents/2/parts/0/functionResponse/response/output": "",
                "body/contents/2/parts/0/functionResponse/parts/0/inlineData/mimeType": "image/png",
                "body/contents/2/parts/0/functionResponse/parts/0/inlineData/data": "iVBORw0KGgo=",
            }
        ),
    ),
    "custom call and result": (
        native(
            {
                "body/contents/1/parts/0/functionCall/name": "shell",
                "body/contents/1/parts/0/functionCall/args/input": "ls",
                "body/contents/2/parts/0/functionResponse/name": "shell",
            },
            model=_OLDER,
        ),
        emulated({"body/contents/1/parts/0/thoughtSignature": _UNSIGNED}, param=_SIGNATURE),
    ),
    "deprecated `function_call` and result": (
        native(
            {
                "body/contents/1/parts/0/functionCall/name": "look",
                "body/contents/1/parts/0/functionCall/args": {},
                "body/contents/2/parts/0/functionResponse/name": "look",
            },
            model=_OLDER,
        ),
        emulated({"body/contents/1/parts/0/thoughtSignature": _UNSIGNED}, param=_SIGNATURE),
    ),
    "`reasoning_content` alone, unsigned": (ignored(),),
    "Claude's thinking in `reasoning_details`": (ignored(),),
    "Gemini's thinking in `reasoning_details`": (
        native({"body/contents/1/parts/0/thoughtSignature": "c2ln"}),
    ),
    "OpenAI's thinking in `reasoning_details`": (ignored(),),
    "Claude's thinking on a call (`extra_content`)": (
        ignored("messages[].tool_calls[].extra_content.anthropic"),
    ),
    "Gemini's thinking on a call (`extra_content`)": (
        native({"body/contents/1/parts/0/thoughtSignature": "c2ln"}),
    ),
    "OpenAI's thinking on a call (`extra_content`)": (
        ignored("messages[].tool_calls[].extra_content.openai"),
    ),
    "function tool": (
        native(
            {
                "body/tools/0/functionDeclarations/0/name": "look",
                "body/tools/0/functionDeclarations/0/parametersJsonSchema/properties": {},
            }
        ),
    ),
    "`strict` function tool": (
        native({"body/toolConfig/functionCallingConfig/mode": "VALIDATED"}),
    ),
    "custom tool": (
        emulated(
            {
                "body/tools/0/functionDeclarations/0/name": "shell",
                "body/tools/0/functionDeclarations/0/description": "Runs a line.",
                "body/tools/0/functionDeclarations/0/parametersJsonSchema/required/0": "input",
            },
            param="tools[].custom",
        ),
    ),
    "grammar of a custom tool": (ignored(),),
    "tool of an unknown type": (rejected("tools[0].type"),),
    "`tool_choice: none`": (native({"body/toolConfig/functionCallingConfig/mode": "NONE"}),),
    "`tool_choice: auto`": (native({"body/toolConfig/functionCallingConfig/mode": "AUTO"}),),
    "`tool_choice: required`": (native({"body/toolConfig/functionCallingConfig/mode": "ANY"}),),
    "`tool_choice` of one function": (
        native(
            {
                "body/toolConfig/functionCallingConfig/mode": "ANY",
                "body/toolConfig/functionCallingConfig/allowedFunctionNames/0": "look",
            }
        ),
    ),
    "`tool_choice` of one custom tool": (
        native(
            {
                "body/toolConfig/functionCallingConfig/mode": "ANY",
                "body/toolConfig/functionCallingConfig/allowedFunctionNames/0": "shell",
            }
        ),
    ),
    "`tool_choice: allowed_tools`": (
        native(
            {
                "body/toolConfig/functionCallingConfig/mode": "ANY",
                "body/toolConfig/functionCallingConfig/allowedFunctionNames/0": "look",
            }
        ),
    ),
    "`response_format: json_object`": (
        native({"body/generationConfig/responseMimeType": "application/json"}),
    ),
    "`response_format: json_schema`": (
        native(
            {
                "body/generationConfig/responseMimeType": "application/json",
                "body/generationConfig/responseJsonSchema/required/0": "city",
                "body/generationConfig/responseJsonSchema/additionalProperties": False,
            }
        ),
    ),
    "`response_format: json_schema`, strict": (
        native(
            {
                "body/generationConfig/responseMimeType": "application/json",
                "body/generationConfig/responseJsonSchema/required/0": "city",
                "body/generationConfig/responseJsonSchema/additionalProperties": False,
            }
        ),
    ),
}

COLUMN = Column("gemini_generate", GeminiGenerateTranslator(), "gemini-3.6-flash", _CELLS, RULES)
