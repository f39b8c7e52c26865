"""What a model of the Gemini API accepts, by its name.

The API's model list tells token limits and methods, but none of this. The facts are from
https://ai.google.dev/gemini-api/docs/thinking, .../function-calling, .../structured-output and
the "what's new" page of each release. A Gemini model that is newer than this table, or whose
name has no version (`gemini-flash-latest`), is taken for one of the newest generation; a model
that is no Gemini (Gemma) for one that has only what all of them have.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

__all__ = ["ModelProfile", "profile_of"]


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What a model accepts.

    Attributes:
        sampling: Heeds `temperature`, `topP` and `topK`, and takes the penalties.
        prefill: Continues a last content of role `model`.
        third: Is of generation 3 or newer: calls have ids, the first call of a step must carry
            its thought signature, results hold media, and parts their own resolution.
        thinking: Which field steers it: `thinkingLevel` or `thinkingBudget`; None: it does not
            think.
        lowest: The least of that field: a level, or a budget in tokens.
        medium: Takes the level `MEDIUM`.
        json_mode: Takes `responseMimeType: application/json`.
        json_schema: Takes `responseJsonSchema`.
        json_with_tools: Takes a JSON answer format beside tools.
        search_beside_functions: Takes Google Search and functions in one request.
        validated: Takes the function calling mode `VALIDATED`.
    """

    sampling: bool = True
    prefill: bool = True
    third: bool = False
    thinking: Literal["level", "budget"] | None = None
    lowest: str | int = 0
    medium: bool = True
    json_mode: bool = True
    json_schema: bool = True
    json_with_tools: bool = False
    search_beside_functions: bool = False
    validated: bool = True


_FAMILY = re.compile(r"flash-lite|flash|pro")
_VERSION = re.compile(r"gemini-(?:[a-z]+-)*?(\d{1,2})(?:\.(\d{1,2}))?(?![\d])")
_NEWEST = (99, 0)


@lru_cache(maxsize=256)
def profile_of(model: str) -> ModelProfile:
    """Return what `model` accepts; `models/` and Vertex's longer names are understood too."""
    name = model.lower().rpartition("/")[2]
    if not name.startswith("gemini"):
        return ModelProfile(json_mode=False, json_schema=False, validated=False)
    found = _VERSION.match(name)
    version = (int(found[1]), int(found[2] or 0)) if found else _NEWEST
    family = _FAMILY.search(name)
    return _profile(family[0] if family else "", version)


def _profile(family: str, version: tuple[int, int]) -> ModelProfile:
    # 3.5 Flash-Lite and 3.6 Flash were the first to ignore sampling and refuse penalties.
    fixed = version >= (3, 6) or (version == (3, 5) and family == "flash-lite")
    third = version >= (3, 0)
    return ModelProfile(
        sampling=not fixed,
        prefill=version < (3, 6),
        third=third,
        thinking="level" if third else "budget" if version >= (2, 5) else None,
        lowest=_lowest(family, version),
        medium=not (version == (3, 0) and family == "pro"),
        json_schema=version >= (2, 5),
        json_with_tools=third,
        search_beside_functions=third,
        validated=version >= (2, 5),
    )


def _lowest(family: str, version: tuple[int, int]) -> str | int:
    if version >= (3, 0):
        return "MINIMAL" if family.startswith("flash") and version < (3, 7) else "LOW"
    return 128 if family == "pro" else 0
