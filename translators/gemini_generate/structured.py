"""Answers in JSON.

https://ai.google.dev/gemini-api/docs/structured-output

1. Models from 2.5 on keep to a `responseJsonSchema`, older ones to JSON as such; models that are
   no Gemini know neither.
2. Before generation 3 a JSON answer does not stand beside tools: "Function calling with a
   response mime type: 'application/json' is unsupported".
3. What the API cannot see to becomes a contract: the prompt asks for it, and the proxy checks it.
   So does a schema that cannot be told to the API, and one that the client called strict and
   whose bounds are only told in descriptions.
"""

from typing import Any

from translators.errors import TranslationError
from translators.fidelity import ReportBuilder
from translators.gemini_generate.models import ModelProfile
from translators.gemini_generate.schema import to_checked_schema
from translators.protocol import JsonContract
from translators.wire.request import ChatCompletionRequest, JSONSchema

__all__ = ["to_structure"]

_Object = dict[str, Any]

_PATH = "response_format.json_schema.schema"


def to_structure(
    chat: ChatCompletionRequest, *, profile: ModelProfile, report: ReportBuilder
) -> tuple[_Object, JsonContract | None]:
    """Return the fields of `generationConfig`, and what the API does not see to."""
    form = chat.response_format
    if form is None or form.type == "text":
        return {}, None
    report.ignored_fields("response_format", form.model_extra or {})
    wanted = form.json_schema if form.type == "json_schema" else None
    if wanted is not None:
        report.ignored_fields("response_format.json_schema", wanted.model_extra or {})
    schema = None if wanted is None else wanted.schema_
    native: _Object = {"responseMimeType": "application/json"}
    beside_tools = bool(chat.tools or chat.functions)
    if not profile.json_mode or (beside_tools and not profile.json_with_tools):
        native = {}
    elif schema is None or wanted is None:
        return native, None
    elif profile.json_schema and (told := _told(wanted, schema, report)) is not None:
        sent, exact = told
        checked = JsonContract(schema) if wanted.strict and not exact else None
        return {**native, "responseJsonSchema": sent}, checked
    report.emulated("response_format")
    return native, JsonContract(schema)


def _told(
    wanted: JSONSchema, schema: _Object, report: ReportBuilder
) -> tuple[_Object, bool] | None:
    """Return the schema in the API's form and whether it is exact, or None where it has none."""
    try:
        native, exact = to_checked_schema(schema, path=_PATH, general=_PATH, report=report)
    except TranslationError:
        return None
    if wanted.description and "description" not in native and "$ref" not in native:
        native["description"] = wanted.description
    return native, exact
