"""What the sandbox knows of Claude models: which exist, and what each accepts.

Sources: the release notes of each generation as summarised in our wire reference, and recorded
400s. A name that tells no version is taken for a 4.6.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.sandbox.anthropic_messages import refusals
from proxy.sandbox.jsontypes import JsonObject

__all__ = ["Traits", "described", "known", "listed", "page", "served", "traits"]

_LISTED = (
    "claude-fable-5-2",
    "claude-haiku-5-5",
    "claude-sonnet-5-5",
    "claude-fable-5-1",
    "claude-opus-5-5",
    "claude-mythos-5-1",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-opus-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-haiku-4-5-20251001",
    "claude-opus-4-5-20251101",
    "claude-sonnet-4-5-20250929",
)
# An alias is answered in the name of the snapshot behind it.
_SNAPSHOTS = {
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}
_NAME = re.compile(r"claude-(?P<line>[a-z]+)-(?P<major>\d)(?:-(?P<minor>\d{1,2})(?!\d))?")
_OLD_NAME = re.compile(r"claude-(?P<major>\d)(?:-(?P<minor>\d))?-(?P<line>[a-z]+)")
_LEVELS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Traits:
    """A model's line and version, and what follows from them."""

    line: str
    version: tuple[int, int]

    @property
    def _frontier(self) -> bool:
        return self.line in {"fable", "mythos"}

    @property
    def forced_tools(self) -> bool:
        """Whether `tool_choice` may force a call."""
        if self._frontier:
            return self.version < (5, 1)
        return not (self.line in {"opus", "sonnet"} and self.version >= (5, 5))

    @property
    def system_turns(self) -> bool:
        """Whether `messages` may hold the role `system`."""
        first = {"opus": (4, 8), "haiku": (5, 5)}.get(self.line, (5, 0))
        return self.version >= first

    @property
    def prefill(self) -> bool:
        """Whether the last message may be the assistant's."""
        return self.version < (4, 6)

    @property
    def sampling(self) -> bool:
        """Whether sampling parameters may differ from their defaults."""
        return self.version < (4, 7)

    @property
    def sampling_pair(self) -> bool:
        """Whether `temperature` and `top_p` may come together."""
        return self.version < (4, 5)

    @property
    def thinking(self) -> tuple[str, ...]:
        """The accepted `thinking.type` values."""
        if self.version < (3, 7):
            return ("disabled",)
        if self.version < (4, 6):
            return ("enabled", "disabled")
        if self.version < (4, 7):
            return ("enabled", "disabled", "adaptive")
        # A model that cannot but think takes no other type.
        return ("adaptive",) if self.binds_thinking else ("disabled", "adaptive", "between_tools")

    @property
    def binds_thinking(self) -> bool:
        """Whether it always thinks, and wants its thoughts back in the same conversation only."""
        if self._frontier:
            return self.version >= (5, 1)
        return self.line == "opus" and self.version >= (5, 5)

    @property
    def structured_outputs(self) -> bool:
        """Whether answers and the inputs of strict tools keep to a schema."""
        return self.version >= (4, 5)

    @property
    def hides_thinking(self) -> bool:
        """Whether `display` is `omitted` unless the request says otherwise."""
        return self.version >= (4, 7)

    @property
    def efforts(self) -> tuple[str, ...]:
        """The accepted `output_config.effort` values."""
        if self.version >= (4, 7):
            return _LEVELS
        if self.version >= (4, 6):
            return ("low", "medium", "high", "max")
        return ("low", "medium", "high") if self.line == "opus" and self.version == (4, 5) else ()

    @property
    def most_tokens(self) -> int:
        """The greatest `max_tokens`."""
        if self.version >= (4, 6):
            return 128_000
        if self.version >= (3, 7):
            return 32_000 if self.line == "opus" and self.version < (4, 5) else 64_000
        return 8_192 if self.version >= (3, 5) else 4_096


def traits(model: str) -> Traits:
    """Return what `model` accepts, judged by its name."""
    match = _NAME.match(model) or _OLD_NAME.match(model)
    if match is None:
        return Traits("unknown", (4, 6))
    return Traits(match["line"], (int(match["major"]), int(match["minor"] or 0)))


def served(model: str) -> str:
    """Return the name that an answer of `model` carries."""
    return _SNAPSHOTS.get(model, model)


def known(model: str) -> None:
    """Refuse a model that does not exist: any name that says so.

    Raises:
        Rejection: 404, as the service words it.
    """
    if "does-not-exist" in model:
        raise refusals.refuse(404, f"model: {model}")


def described(model: str) -> JsonObject:
    """Return a `ModelInfo` object."""
    known(model)
    found = traits(model)

    def supported(value: bool) -> JsonObject:
        return {"supported": value}

    return {
        "type": "model",
        "id": model,
        "display_name": model.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "deprecated_at": None,
        "retires_at": None,
        "lifecycle": "active",
        "line": found.line if found.line in _LINES else None,
        "max_input_tokens": 1_000_000 if found.version >= (4, 6) else 200_000,
        "max_tokens": found.most_tokens,
        "capabilities": {
            "batch": supported(True),
            "citations": supported(True),
            "code_execution": supported(found.version >= (4, 5)),
            "context_management": {
                "supported": False,
                "clear_thinking_20251015": supported(False),
                "clear_tool_uses_20250919": supported(False),
                "compact_20260112": supported(False),
            },
            "effort": {
                "supported": bool(found.efforts),
                **{level: supported(level in found.efforts) for level in _LEVELS},
            },
            "image_input": supported(True),
            "pdf_input": supported(True),
            "server_tools": {
                "supported": True,
                "code_execution": supported(False),
                "web_search": supported(True),
            },
            "structured_outputs": supported(found.structured_outputs),
            "thinking": {
                "supported": True,
                "types": {
                    kind: supported(kind in found.thinking)
                    for kind in ("adaptive", "between_tools", "disabled", "enabled")
                },
            },
        },
    }


_LINES = ("haiku", "sonnet", "opus", "fable", "mythos")


def listed() -> JsonObject:
    """Return all models, as `GET /v1/models` has them on its pages."""
    data = [described(model) for model in _LISTED]
    return {"data": data, "has_more": False, "first_id": _LISTED[0], "last_id": _LISTED[-1]}


def page(listing: JsonObject, query: Mapping[str, str]) -> JsonObject:
    """Return the part of a list that `limit`, `after_id` and `before_id` ask for.

    Raises:
        Rejection: 400, for a value that is none.
    """
    if "has_more" not in listing:
        return listing
    limit = query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= 1000:
        raise refusals.invalid("limit: Input should be greater than or equal to 1 and at most 1000")
    data: list[JsonObject] = listing["data"]
    ids = [model["id"] for model in data]
    for name in ("after_id", "before_id"):
        if name in query and query[name] not in ids:
            raise refusals.invalid(f"{name}: no such model")
    first = ids.index(query["after_id"]) + 1 if "after_id" in query else 0
    last = ids.index(query["before_id"]) if "before_id" in query else len(ids)
    if "before_id" in query:
        first = max(first, last - int(limit))
    found = data[first:last][: int(limit)]
    more = first > 0 if "before_id" in query else first + len(found) < last
    return {
        "data": found,
        "has_more": more,
        "first_id": found[0]["id"] if found else None,
        "last_id": found[-1]["id"] if found else None,
    }
