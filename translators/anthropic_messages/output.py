"""The form of the answer.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs

1. A schema that the API can enforce is sent as `output_config.format`. It has no place for the
   schema's name and description; they go into the schema, where the model reads them too.
2. Where it cannot (the schema has no form there, the model is too old, the answer cites what a
   search has found) and for "any JSON object" the prompt asks for it, and the answer is checked.
3. The same goes for the bounds of a schema that the client called strict, and that are only told.
"""

from dataclasses import dataclass

from translators.anthropic_messages.content import Block
from translators.anthropic_messages.models import ModelProfile
from translators.anthropic_messages.schema import StrictBudget, to_strict
from translators.fidelity import ReportBuilder
from translators.json_contract import instruction
from translators.protocol import JsonContract
from translators.wire.request import ChatCompletionRequest, JSONSchema

__all__ = ["Format", "to_format"]

_PATH = "response_format.json_schema.schema"


@dataclass(frozen=True, slots=True)
class Format:
    """The form of the answer.

    Attributes:
        native: For `output_config.format`.
        instruction: For the prompt.
        contract: What the answer is to be checked for.
    """

    native: Block | None = None
    instruction: str | None = None
    contract: JsonContract | None = None


_ANY_FORM = Format()


def to_format(
    chat: ChatCompletionRequest,
    *,
    profile: ModelProfile,
    budget: StrictBudget,
    begun: bool,
    report: ReportBuilder,
) -> Format:
    """Return the form of the answer.

    Args:
        chat: The request.
        profile: What the model accepts.
        budget: What the strict schemas of the request may still have.
        begun: Whether the request begins the answer, which then has no form of its own.
        report: Where to say what was not carried over as it stood.

    Raises:
        TranslationError: The schema is missing or broken, or the answer was begun.
    """
    form = chat.response_format
    if form is None or form.type == "text":
        return _ANY_FORM
    if begun:
        raise report.reject("response_format", "an answer that was begun has no form of its own.")
    report.ignored_fields("response_format", form.model_extra or {})
    if form.type == "json_object":
        return _checked(JsonContract(), report)
    wanted = form.json_schema
    if wanted is None:
        raise report.reject("response_format.json_schema", "it is missing.")
    report.ignored_fields("response_format.json_schema", wanted.model_extra or {})
    if wanted.schema_ is None:
        return _checked(JsonContract(), report)
    contract = JsonContract(wanted.schema_)
    try:
        strict = to_strict(_named(wanted, wanted.schema_))
    except ValueError as error:
        raise report.reject(_PATH, f"{error}.") from None
    able = profile.structured_outputs and chat.web_search_options is None
    if not able or strict is None or not budget.take(strict):
        return _checked(contract, report)
    if strict.changed:
        report.emulated(_PATH)
    checked = contract if wanted.strict and not strict.exact else None
    return Format({"type": "json_schema", "schema": strict.schema}, contract=checked)


def _checked(contract: JsonContract, report: ReportBuilder) -> Format:
    report.emulated("response_format")
    return Format(instruction=instruction(contract), contract=contract)


def _named(wanted: JSONSchema, schema: Block) -> Block:
    named: Block = {"title": wanted.name}
    if wanted.description:
        named["description"] = wanted.description
    return {**named, **schema}
