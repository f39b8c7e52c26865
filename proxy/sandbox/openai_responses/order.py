"""How the items of an input must follow each other: calls and results, reasoning and its act."""

from proxy.sandbox.dialect import Rejection
from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.openai_chat import refusals
from proxy.sandbox.openai_responses.seals import sealed_for

__all__ = ["REASONED", "check_order"]

REASONED = "r"
"""Ends the id of an item that came right after a reasoning item."""

_CALLS = {"function_call": "function call", "custom_tool_call": "custom tool call"}
_OUTPUTS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}


def check_order(items: list[JsonObject]) -> None:
    """Refuse items that do not belong together.

    Raises:
        Rejection: as the service words it (recordings and public reports).
    """
    for position, item in enumerate(items):
        if item["type"] == "item_reference":
            raise _not_found(item["id"])
        if item["type"] == "reasoning":
            _reasoning(item, items[position + 1 : position + 2])
        else:
            _reasoned(item, items[position - 1] if position else {})
    _pairs(items)


def _reasoning(item: JsonObject, following: list[JsonObject]) -> None:
    name: str = item.get("id") or ""
    content: str | None = item.get("encrypted_content")
    if content is None:
        # The sandbox stores nothing: what was said is known only by what comes back.
        raise _not_found(name)
    owner = sealed_for(content)
    if owner is None or (name and owner != name):
        reason = (
            "Encrypted content could not be decrypted or parsed."
            if owner is None
            else "Encrypted content item_id did not match the target item id."
        )
        which = f"for item {name} " if name else ""
        raise refusals.refuse(
            f"The encrypted content {which}could not be verified. Reason: {reason}",
            None,
            "invalid_encrypted_content",
        )
    if not any(_is_of_assistant(other) for other in following):
        raise refusals.refuse(
            f"Item '{name or owner}' of type 'reasoning' was provided without its required "
            "following item.",
            "input",
        )


def _is_of_assistant(item: JsonObject) -> bool:
    if item["type"] == "message":
        return item["role"] == "assistant"
    return not item["type"].endswith("_output")


def _reasoned(item: JsonObject, before: JsonObject) -> None:
    """Refuse an item that comes back by its id, and without the reasoning that led to it."""
    name: str = item.get("id") or ""
    if name.endswith(REASONED) and before.get("type") != "reasoning":
        raise refusals.refuse(
            f"Item '{name}' of type '{item['type']}' was provided without its required "
            f"'reasoning' item: '{_reasoning_of(name)}'.",
            "input",
        )


def _reasoning_of(name: str) -> str:
    _, _, rest = name.partition("_")
    return f"rs_{rest.removesuffix(REASONED)}"


def _pairs(items: list[JsonObject]) -> None:
    called: dict[str, str] = {}
    for item in items:
        kind: str = item["type"]
        if kind in _CALLS:
            called[item["call_id"]] = kind
        elif kind in _OUTPUTS and called.get(item["call_id"]) != _OUTPUTS[kind]:
            raise refusals.refuse(
                f"No tool call found for {_CALLS[_OUTPUTS[kind]]} output with call_id "
                f"{item['call_id']}.",
                "input",
            )
    answered = {item["call_id"] for item in items if item["type"] in _OUTPUTS}
    for call_id, kind in called.items():
        if call_id not in answered:
            raise refusals.refuse(
                f"No tool output found for {_CALLS[kind]} {call_id}.",
                "input",
            )


def _not_found(name: str) -> Rejection:
    return refusals.refuse(
        f"Item with id '{name}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input.",
        "input",
        status=404,
    )
