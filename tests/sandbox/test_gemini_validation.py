from typing import Any

import pytest

from proxy.sandbox.gemini_generate.signatures import sign

from .conftest import Wire

_OLD, _NEW = "gemini-2.5-flash", "gemini-3.6-flash"
_TEXT: Any = {"text": "x"}
_USER: Any = {"role": "user", "parts": [_TEXT]}
_CALL: Any = {"functionCall": {"name": "t", "args": {}}}
_SIGNED: Any = {**_CALL, "thoughtSignature": sign("x")}
_RESULT: Any = {"functionResponse": {"name": "t", "response": {"output": "x"}}}
_TOOL: Any = {"name": "t"}
_TOP = "* GenerateContentRequest."
_ORDER = "Please ensure that function call turn comes immediately after a user turn or after a"
_COUNT = (
    "Please ensure that the number of function response parts is equal to the number of function "
    "call parts of the function call turn."
)


def _user(*parts: Any) -> Any:
    return {"role": "user", "parts": list(parts)}


def _model(*parts: Any) -> Any:
    return {"role": "model", "parts": list(parts)}


def _case(message: str, *contents: Any, **fields: Any) -> Any:
    if contents:
        fields["contents"] = list(contents)
    return pytest.param(fields, message, id=message[:70])


def _config(message: str, *, model: str = _OLD, **config: Any) -> Any:
    return _case(message, model=model, generationConfig=config)


def _thinking(message: str, *, model: str = _NEW, **config: Any) -> Any:
    return _config(message, model=model, thinkingConfig=config)


def _tools(message: str, *declared: Any, **fields: Any) -> Any:
    return _case(message, tools=[{"functionDeclarations": list(declared)}], **fields)


def _schema(message: str, **schema: Any) -> Any:
    return _config(message, responseMimeType="application/json", responseJsonSchema=schema)


def _parameters(message: str, **schema: Any) -> Any:
    path = f"{_TOP}tools[0].function_declarations[0].parameters."
    return _tools(f"{path}{message}\n", {**_TOOL, "parameters": {"type": "OBJECT", **schema}})


def _choice(message: str, **choice: Any) -> Any:
    return _tools(message, _TOOL, toolConfig={"functionCallingConfig": choice})


_BLOB = {"mimeType": "image/png", "data": "AAAA"}
_CASES = [
    _case(f"{_TOP}contents: contents is not specified\n", contents=...),
    _case(f"{_TOP}contents: contents is not specified\n", contents=[]),
    _case(f"{_TOP}contents[0].parts: contents.parts must not be empty.\n", _user()),
    _case(
        f"{_TOP}system_instruction.parts: contents.parts must not be empty.\n",
        systemInstruction={"role": "user"},
    ),
    _case(
        f"{_TOP}contents[0].parts[0].data: required oneof field 'data' must have one initialized "
        "field\n",
        _user({"thought": True}),
    ),
    _case("Please use a valid role: user, model.", {**_USER, "role": "assistant"}),
    _case("Please use a valid role: user, model.", {**_USER, "role": "system"}, _USER),
    _case(
        "Role 'function' is not supported. Please use a valid role: SYSTEM,",
        {**_USER, "role": "function"},
        model=_NEW,
    ),
    _case("Please ensure that single turn requests end with a user role", _model(_TEXT)),
    _case(
        "Requests ending with a model turn are not supported unless the last part is a function",
        _USER,
        _model(_TEXT),
        model=_NEW,
    ),
    _case(
        "Requests ending with a model turn are not supported",
        _USER,
        _model(_TEXT),
        model="gemini-3.5-flash-lite",
    ),
    # Calls and responses.
    _case(_ORDER, _model(_CALL), _user(_RESULT)),
    _case(_ORDER, _USER, _model(_TEXT), _model(_CALL), _user(_RESULT)),
    _case(
        "Please ensure that function response turn comes immediately after a function call turn.",
        _user(_RESULT),
    ),
    _case(
        "Please ensure that function response turn comes immediately after a function call turn.",
        _USER,
        _model(_CALL),
        _user(_RESULT),
        _user(_RESULT),
    ),
    _case(_COUNT, _USER, _model(_CALL, _CALL), _user(_RESULT)),
    _case(_COUNT, _USER, _model(_CALL), _user(_RESULT, _RESULT)),
    _case(_COUNT, _USER, _model(_CALL), _USER),
    _case(_COUNT, _USER, _model(_CALL)),
    _case(
        "Please ensure that function response names match",
        _USER,
        _model(_CALL),
        _user({"functionResponse": {"name": "u", "response": {}}}),
    ),
    _case(
        "Please ensure that function response ids match",
        _USER,
        _model({**_SIGNED, "functionCall": {"name": "t", "id": "a"}}),
        _user({"functionResponse": {"name": "t", "id": "b", "response": {}}}),
        model=_NEW,
    ),
    _case(
        f"{_TOP}contents[1].parts[0].function_call.name: Name cannot be empty.\n",
        _USER,
        _model({"functionCall": {"args": {}}}),
        _user(_RESULT),
    ),
    _case(
        f"{_TOP}contents[2].parts[0].function_response.name: Name cannot be empty.\n",
        _USER,
        _model(_CALL),
        _user({"functionResponse": {"response": {}}}),
    ),
    _case(
        'Invalid JSON payload received. Unknown name "id" at \'contents[1].parts[0].'
        "function_call': Cannot find field.",
        _USER,
        _model({"functionCall": {"name": "t", "id": "a"}}),
        _user(_RESULT),
        model="gemini-2.0-flash",
    ),
    _case(
        "The referenced name `#/$defs/a` in function_response.response does not match to a "
        "display_name in the function_response.parts.",
        _USER,
        _model(_SIGNED),
        _user({"functionResponse": {"name": "t", "response": {"a": [{"$ref": "#/$defs/a"}]}}}),
        model=_NEW,
    ),
    # Signatures.
    _case(
        "Function call is missing a thought_signature in functionCall parts. This is required for "
        "tools to work correctly, and missing thought_signature may lead to degraded model "
        "performance. Additional data, function call `default_api:t` , position 2. Please refer "
        "to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
        _USER,
        _model(_CALL, _SIGNED),
        _user(_RESULT, _RESULT),
        model=_NEW,
    ),
    _case(
        "Function call is missing a thought_signature",
        _USER,
        _model(_SIGNED),
        _user(_RESULT),
        _model(_CALL),
        _user(_RESULT),
        model=_NEW,
    ),
    _case(
        "Corrupted thought signature.",
        _USER,
        _model({**_CALL, "thoughtSignature": "A" + sign("x")[1:]}),
        _user(_RESULT),
        model=_NEW,
    ),
    _case(
        "Corrupted thought signature.",
        _USER,
        _model({**_TEXT, "thoughtSignature": "AAAA"}),
        _USER,
    ),
    # Media.
    _case(
        "Unsupported MIME type: image/gif",
        _user({"inlineData": {**_BLOB, "mimeType": "image/gif"}}),
    ),
    _case("Unsupported MIME type: ", _user({"inlineData": {"data": "AAAA"}})),
    _case("Unable to process input image.", _user({"inlineData": {"mimeType": "image/png"}})),
    _case(
        "Invalid or unsupported file uri: https://x/y.png",
        _user({"fileData": {"fileUri": "https://x/y.png"}}),
    ),
    # Ranges.
    _config(
        f"{_TOP}generation_config.temperature: temperature must be in the range", temperature=2.1
    ),
    _config(
        f"{_TOP}generation_config.temperature: temperature must be in the range", temperature=-1
    ),
    _config(f"{_TOP}generation_config.top_p: top_p must be in the range [0.0, 1.0].\n", topP=1.1),
    _config(f"{_TOP}generation_config.top_k: top_k must be positive.\n", topK=0),
    _config(f"{_TOP}generation_config.max_output_tokens: max_output_tokens", maxOutputTokens=0),
    _config(f"{_TOP}generation_config.candidate_count: candidate_count must be", candidateCount=0),
    _config(f"{_TOP}generation_config.candidate_count: candidate_count must be", candidateCount=9),
    _config("Multiple candidates is not enabled for this model", model=_NEW, candidateCount=2),
    _config(f"{_TOP}generation_config.stop_sequences: the number of", stopSequences=list("abcdef")),
    _config(
        f"{_TOP}generation_config.stop_sequences[1]: must not be empty.", stopSequences=["a", ""]
    ),
    _config(f"{_TOP}generation_config.logprobs: logprobs is only allowed when", logprobs=3),
    _config(
        f"{_TOP}generation_config.logprobs: logprobs must be in the range [0, 20].\n",
        responseLogprobs=True,
        logprobs=21,
    ),
    _config("Penalty is not enabled for this model", model=_NEW, frequencyPenalty=0.5),
    _config(
        "Penalty is not enabled for this model", model="gemini-3.5-flash-lite", presencePenalty=1
    ),
    _config(
        "The requested combination of response modalities (AUDIO) is not supported by the model.",
        responseModalities=["AUDIO"],
    ),
    _config(
        f"{_TOP}generation_config.response_mime_type: allowed mimetypes are `text/plain`, ",
        responseMimeType="text/markdown",
    ),
    _config(
        f"{_TOP}generation_config.response_schema: only allowed for response_mime_type",
        responseSchema={"type": "STRING"},
    ),
    _config(
        f"{_TOP}generation_config.response_json_schema: must not be set together with",
        responseMimeType="application/json",
        responseSchema={"type": "STRING"},
        responseJsonSchema={"type": "string"},
    ),
    # Thinking.
    _thinking(
        "You can only set only one of thinking budget and thinking level.",
        thinkingLevel="LOW",
        thinkingBudget=5,
    ),
    _thinking("Thinking level is not supported for this model.", model=_OLD, thinkingLevel="low"),
    _thinking(
        "Thinking level MINIMAL is not supported for this model. Please retry with other",
        model="gemini-3.7-flash",
        thinkingLevel="MINIMAL",
    ),
    _thinking(
        "Thinking level MEDIUM is not supported for this model.",
        model="gemini-3-pro",
        thinkingLevel="MEDIUM",
    ),
    _thinking(
        "Budget 0 is invalid. This model only works in thinking mode.",
        model="gemini-2.5-pro",
        thinkingBudget=0,
    ),
    _thinking(
        "The thinking budget 100 is invalid. Please choose a value between 512 and 24576.",
        model="gemini-2.5-flash-lite",
        thinkingBudget=100,
    ),
    _thinking(
        "Thinking is not enabled for models/gemini-2.0-flash",
        model="gemini-2.0-flash",
        includeThoughts=True,
    ),
    # Tools.
    _tools(f"{_TOP}tools[0].function_declarations[0].name: Invalid function name.", {"name": "1a"}),
    _tools(f"{_TOP}tools[0].function_declarations[1].name: Invalid function name.", _TOOL, {}),
    _tools("Duplicate function declaration found: t", _TOOL, _TOOL),
    _tools(
        "schema at top-level must be of type object",
        {**_TOOL, "parametersJsonSchema": {"type": "array"}},
    ),
    _tools(
        f"{_TOP}tools[0].function_declarations[0].parameters.type: must be OBJECT.\n",
        {**_TOOL, "parameters": {"type": "STRING"}},
    ),
    _tools(
        f"{_TOP}tools[0].function_declarations[0].parameters_json_schema: must not be set together",
        {**_TOOL, "parameters": {"type": "OBJECT"}, "parametersJsonSchema": {}},
    ),
    _tools(
        "Function calling with a response mime type: 'application/json' is unsupported",
        _TOOL,
        generationConfig={"responseMimeType": "application/json"},
    ),
    _case(
        "Tool use with function calling is unsupported",
        tools=[{"functionDeclarations": [_TOOL]}, {"googleSearch": {}}],
    ),
    _case(
        "Please enable tool_config.include_server_side_tool_invocations",
        tools=[{"functionDeclarations": [_TOOL], "urlContext": {}}],
        model=_NEW,
    ),
    _case(
        "Function calling config is set without function_declarations.",
        toolConfig={"functionCallingConfig": {"mode": "ANY"}},
    ),
    _choice(f"{_TOP}tool_config.function_calling_config.allowed_f", allowedFunctionNames=["t"]),
    _choice(
        f"{_TOP}tool_config.function_calling_config.allowed_function_names: function `u` is not",
        mode="ANY",
        allowedFunctionNames=["u"],
    ),
    # The older schemas.
    _parameters("properties[a].items: missing field.", properties={"a": {"type": "ARRAY"}}),
    _parameters(
        "properties[a].enum: only allowed for STRING type",
        properties={"a": {"type": "INTEGER", "enum": ["1"]}},
    ),
    _parameters(
        "properties[a].enum[1]: cannot be empty",
        properties={"a": {"type": "STRING", "enum": ["b", ""]}},
    ),
    _parameters("required[0]: property is not defined", required=["a"]),
    # JSON Schema.
    _schema(
        "schema at properties.a contains the unsupported keyword 'const'",
        properties={"a": {"const": 1}},
    ),
    _schema("schema at top-level contains the unsupported keyword 'allOf'", allOf=[{}]),
    _schema(
        "schema at anyOf[0].items contains the unsupported keyword 'not'",
        anyOf=[{"items": {"not": {}}}],
    ),
    _schema(
        "schema at properties.a can only contain properties starting with '$' when $ref is present",
        properties={"a": {"$ref": "#/$defs/b", "description": "c"}},
    ),
    _schema(
        "reference to undefined schema at properties.a",
        properties={"a": {"$ref": "#/definitions/b"}},
        definitions={"b": {}},
    ),
    _schema("schema at properties.a must be a boolean or an object", properties={"a": 1}),
    _schema("schema at top-level has an unknown type: STRING", type="STRING"),
    _schema("schema at top-level may only have strings and numbers in enum", enum=["a", None]),
    _schema(
        "recursive reference at properties.a.items is only allowed in properties that are not",
        properties={"a": {"type": "array", "items": {"$ref": "#"}}},
        required=["a"],
    ),
]


@pytest.mark.parametrize(("fields", "message"), _CASES)
async def test_refused(wire: Wire, fields: dict[str, Any], message: str) -> None:
    answer = await wire.gemini(**fields)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"].startswith(message)
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
