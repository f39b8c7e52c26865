"""A persona's request parameters, checked as those of a request are."""

from typing import Any

from pydantic import ConfigDict, ValidationError
from pydantic_core import InitErrorDetails

from policy.rows import problem, problems
from translators.wire.request import ChatCompletionRequest

__all__ = ["PARAMETERS", "checked_parameters"]

# What a request is made of, and not a parameter that could have a default.
_NOT_PARAMETERS = {
    "messages": "Put the persona's instructions under `system_prompt`.",
    "model": "Name models in `provider_preferences`: `{provider: openai, model: …}`.",
    "stream": "Each caller says itself whether it wants a stream.",
    "stream_options": "Each caller says itself whether it wants a stream.",
}

PARAMETERS = frozenset(ChatCompletionRequest.model_fields) - _NOT_PARAMETERS.keys()
"""The names of the parameters that a persona may set."""


class _Parameters(ChatCompletionRequest):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


_REQUEST = {"model": "persona", "messages": [{"role": "user", "content": "?"}]}


def checked_parameters(values: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as a request holds them, without those that are null.

    Raises:
        ValidationError: A name or a type is wrong.
    """
    refused = [
        ((name,), problem(f"`{name}` cannot be a default", remedy))
        for name, remedy in _NOT_PARAMETERS.items()
        if name in values
    ]
    given = {name: value for name, value in values.items() if name not in _NOT_PARAMETERS}
    try:
        chat = _Parameters.model_validate({**_REQUEST, **given})
    except ValidationError as error:
        if not refused:
            raise
        raise ValidationError.from_exception_data(
            "policy",
            [
                *(InitErrorDetails(type=e, loc=place, input=None) for place, e in refused),
                *(_again(line) for line in error.errors(include_url=False, include_input=False)),
            ],
        ) from None
    if refused:
        raise problems(refused)
    return {name: value for name in given if (value := getattr(chat, name)) is not None}


def _again(line: Any) -> InitErrorDetails:
    details = InitErrorDetails(type=line["type"], loc=line["loc"], input=None)
    if "ctx" in line:
        details["ctx"] = line["ctx"]
    return details
