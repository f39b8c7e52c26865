"""The order of turns: who speaks, that every call is answered, and that calls are signed."""

from collections.abc import Iterator
from typing import Any

from proxy.sandbox.gemini_generate import refusals
from proxy.sandbox.gemini_generate.models import Traits
from proxy.sandbox.gemini_generate.signatures import is_signature
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object, as_text, objects

__all__ = ["asks", "calls", "check_turns", "responses"]


def calls(content: JsonObject) -> list[JsonObject]:
    """Return the calls of a turn."""
    return [part["function_call"] for part in _parts(content) if "function_call" in part]


def responses(content: JsonObject) -> list[JsonObject]:
    """Return what functions have answered in a turn."""
    return [part["function_response"] for part in _parts(content) if "function_response" in part]


def asks(content: JsonObject) -> bool:
    """Whether a turn is the user's and holds more than function responses."""
    return content.get("role") != "model" and any(
        "function_response" not in part for part in _parts(content)
    )


def _parts(content: JsonObject) -> list[JsonObject]:
    return objects(content.get("parts"))


def check_turns(contents: list[JsonObject], model: Traits) -> None:
    """Refuse an impossible conversation.

    Raises:
        Rejection: as the service words it.
    """
    _check_roles(contents, model)
    _check_last(contents, model)
    _check_order(contents)
    for i, content in enumerate(contents):
        _check_functions(content, i, model)
    for i, content in enumerate(contents):
        after = contents[i + 1] if i + 1 < len(contents) else {}
        _check_answers(calls(content), responses(after), model)
    if model.thinks:
        _check_signatures(contents)
    if model.third:
        _check_signed(contents)


def _check_roles(contents: list[JsonObject], model: Traits) -> None:
    for content in contents:
        role = content.get("role") or "user"
        if role in {"user", "model"}:
            continue
        if not model.newest:
            raise refusals.invalid("Please use a valid role: user, model.")
        raise refusals.invalid(
            f"Role '{role}' is not supported. Please use a valid role: SYSTEM, SYSTEM_1, USER, "
            "ASSISTANT, DEVELOPER, CONTEXT, USER_CONTEXT, MODEL, USER."
        )


def _check_last(contents: list[JsonObject], model: Traits) -> None:
    last = contents[-1]
    if last.get("role") != "model":
        return
    if model.newest:
        raise refusals.invalid(
            "Requests ending with a model turn are not supported unless the last part is a "
            "function response."
        )
    if len(contents) == 1:
        raise refusals.invalid(
            "Please ensure that single turn requests end with a user role or the role field is "
            "empty."
        )


def _check_order(contents: list[JsonObject]) -> None:
    previous: JsonObject | None = None
    for content in contents:
        if calls(content) and (previous is None or previous.get("role") == "model"):
            raise refusals.invalid(
                "Please ensure that function call turn comes immediately after a user turn or "
                "after a function response turn."
            )
        if responses(content) and (previous is None or not calls(previous)):
            raise refusals.invalid(
                "Please ensure that function response turn comes immediately after a function "
                "call turn."
            )
        previous = content


def _check_functions(content: JsonObject, i: int, model: Traits) -> None:
    for k, part in enumerate(_parts(content)):
        for kind in ("function_call", "function_response"):
            function = part.get(kind)
            if function is None:
                continue
            path = f"contents[{i}].parts[{k}].{kind}"
            if not function.get("name"):
                raise refusals.violated(f"{path}.name", "Name cannot be empty.")
            if "id" in function and not model.reads_ids:
                text = f"Invalid JSON payload received. Unknown name \"id\" at '{path}'"
                raise refusals.malformed([(path, f"{text}: Cannot find field.")])
        if model.third and "function_response" in part:
            _check_references(part["function_response"])


def _check_references(response: JsonObject) -> None:
    """The third generation looks for its attachments under every `$ref`."""
    names: set[str] = set()
    for part in objects(response.get("parts")):
        media: JsonObject = part.get("inline_data") or part.get("file_data") or {}
        names.add(as_text(media.get("display_name")))
    for reference in _references(response.get("response")):
        if reference not in names:
            raise refusals.invalid(
                f"The referenced name `{reference}` in function_response.response does not match "
                "to a display_name in the function_response.parts."
            )


def _references(value: Any) -> Iterator[str]:
    for key, item in (as_object(value) or {}).items():
        if key == "$ref" and isinstance(item, str):
            yield item
        yield from _references(item)
    for item in as_list(value) or []:
        yield from _references(item)


def _check_answers(made: list[JsonObject], given: list[JsonObject], model: Traits) -> None:
    if not made:
        return
    if len(made) != len(given):
        raise refusals.invalid(
            "Please ensure that the number of function response parts is equal to the number of "
            "function call parts of the function call turn."
        )
    if sorted(c["name"] for c in made) != sorted(as_text(r.get("name")) for r in given):
        raise refusals.invalid(
            "Please ensure that function response names match the names of the function call turn."
        )
    wanted = {c["id"] for c in made if "id" in c}
    if model.third and wanted and any(r.get("id", next(iter(wanted))) not in wanted for r in given):
        raise refusals.invalid(
            "Please ensure that function response ids match the ids of the function call turn."
        )


def _check_signatures(contents: list[JsonObject]) -> None:
    for content in contents:
        for part in _parts(content):
            signature = part.get("thought_signature")
            if signature is not None and not is_signature(signature):
                raise refusals.invalid("Corrupted thought signature.")


def _check_signed(contents: list[JsonObject]) -> None:
    """In the turn that goes on, the first call of each step has to be signed."""
    start = max((i for i, content in enumerate(contents) if asks(content)), default=0)
    for i in range(start, len(contents)):
        first = next((p for p in _parts(contents[i]) if "function_call" in p), None)
        if first is None or first.get("thought_signature"):
            continue
        raise refusals.invalid(
            "Function call is missing a thought_signature in functionCall parts. This is required "
            "for tools to work correctly, and missing thought_signature may lead to degraded model "
            "performance. Additional data, function call "
            f"`default_api:{first['function_call']['name']}` , position {i + 1}. Please refer to "
            "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
        )
