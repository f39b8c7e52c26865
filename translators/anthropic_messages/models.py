"""What a model of the Messages API accepts, by its name.

The API tells output limits and thinking types (`GET /v1/models/{id}`) but not whether a model
takes sampling parameters, a forced tool choice, a prefill or system messages in the middle of
a conversation. The facts are from https://platform.claude.com/docs/en/about-claude/models and
the "what's new" pages of each release. A Claude model that is newer than this table is taken
for one of the newest generation; a model that is no Claude (a compatible server) for one of
the oldest dialect, which such servers follow.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

__all__ = ["ModelProfile", "profile_from_info", "profile_of"]

_EFFORTS_4_6 = frozenset({"low", "medium", "high", "max"})
_EFFORTS = _EFFORTS_4_6 | {"xhigh"}


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What a model accepts.

    Attributes:
        max_tokens: The most output tokens one answer may have.
        sampling: Takes `temperature`, `top_p` and `top_k` (under `anthropic-version`
            2023-06-01 only).
        sampling_pair: Takes `temperature` and `top_p` in one request.
        efforts: The values of `output_config.effort`; empty where there is no adaptive thinking.
        always_thinks: Refuses `thinking: {"type": "disabled"}`.
        forced_tools: Takes `tool_choice` of type `any` and `tool`.
        late_system: Takes messages of role `system` after the first user turn.
        prefill: Continues a last message of role `assistant`.
        compatible: Is no Claude model: some other server's model behind the same API.
        budgets: Takes `thinking: {"type": "enabled"}` with a budget in tokens.
        structured_outputs: Keeps to a schema (`output_config.format`, `strict` tools).
        web_search: Searches the web by a tool of the server's own.
        bound_thoughts: Checks that thoughts come back in the conversation that they are from.
        max_input_tokens: The most tokens a prompt may have, where that is known.
    """

    max_tokens: int = 128_000
    sampling: bool = False
    sampling_pair: bool = False
    efforts: frozenset[str] = _EFFORTS
    always_thinks: bool = False
    forced_tools: bool = True
    late_system: bool = True
    prefill: bool = False
    compatible: bool = False
    budgets: bool = False
    structured_outputs: bool = True
    web_search: bool = True
    bound_thoughts: bool = False
    max_input_tokens: int | None = None


_COMPATIBLE = ModelProfile(
    max_tokens=32_000,
    sampling=True,
    sampling_pair=True,
    efforts=frozenset(),
    late_system=False,
    prefill=True,
    compatible=True,
    structured_outputs=False,
    web_search=False,
)

_FAMILIES = "opus|sonnet|haiku|fable|mythos"
_NEW_NAME = re.compile(rf"claude-({_FAMILIES})-(\d{{1,2}})(?:[-.](\d{{1,2}}))?(?!\d)")
_OLD_NAME = re.compile(rf"claude-(\d)(?:[-.](\d))?-({_FAMILIES})")
_PREVIEW = (4, 7)
_NEWEST = (99, 0)


@lru_cache(maxsize=256)
def profile_of(model: str) -> ModelProfile:
    """Return what `model` accepts; names of Bedrock and Vertex are understood too."""
    name = model.lower()
    if "claude" not in name:
        return _COMPATIBLE
    if new := _NEW_NAME.search(name):
        family, version = new[1], (int(new[2]), int(new[3] or 0))
    elif old := _OLD_NAME.search(name):
        family, version = old[3], (int(old[1]), int(old[2] or 0))
    else:
        family, version = "", _PREVIEW if "preview" in name else _NEWEST
    # What other clouds make of the beta header for bound thoughts is not known.
    direct = name.startswith("claude-") and "@" not in name
    return _profile(family, version, direct=direct)


def profile_from_info(model: str, info: Mapping[str, Any]) -> ModelProfile:
    """Return what `model` accepts by the API's own word, and by the table where it says nothing.

    Args:
        model: The name that requests have.
        info: The JSON of `GET /v1/models/{id}`: `anthropic.types.ModelInfo` of anthropic 2.12.
    """
    table = profile_of(model)
    told = replace(
        table,
        max_tokens=_count(info.get("max_tokens")) or table.max_tokens,
        max_input_tokens=_count(info.get("max_input_tokens")) or table.max_input_tokens,
    )
    can = _object(info.get("capabilities"))
    types = _object(_object(can.get("thinking")).get("types"))
    always = not _supported(types, "disabled", not table.always_thinks)
    search = _supported(_object(can.get("server_tools")), "web_search", table.web_search)
    return replace(
        told,
        efforts=_efforts(_object(can.get("effort")), types, table),
        always_thinks=always,
        bound_thoughts=table.bound_thoughts and always,
        budgets=_supported(types, "enabled", table.budgets),
        structured_outputs=_supported(can, "structured_outputs", table.structured_outputs),
        web_search=search,
    )


def _efforts(effort: Mapping[str, Any], types: Mapping[str, Any], table: ModelProfile) -> Any:
    if not _supported(types, "adaptive", bool(table.efforts)):
        return frozenset[str]()
    told = {name for name in effort if name != "supported"}
    if not told:
        return table.efforts
    return frozenset(name for name in told if _supported(effort, name, False))


def _supported(capabilities: Mapping[str, Any], name: str, otherwise: bool) -> bool:
    found = _object(capabilities.get(name)).get("supported")
    return found if isinstance(found, bool) else otherwise


def _object(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _profile(family: str, version: tuple[int, int], *, direct: bool) -> ModelProfile:
    always = _always_thinks(family, version)
    efforts = _EFFORTS if version >= (4, 7) else _EFFORTS_4_6
    return ModelProfile(
        max_tokens=_ceiling(family, version),
        sampling=version < (4, 7),
        # Opus 4.1 was the first to refuse the pair.
        sampling_pair=version < (4, 1),
        efforts=efforts if version >= (4, 6) else frozenset(),
        always_thinks=always,
        forced_tools=not _lost_forced_tools(family, version),
        late_system=version >= (4, 8),
        prefill=version < (4, 6),
        budgets=(3, 7) <= version < (4, 7),
        structured_outputs=version >= (4, 5),
        web_search=version >= (3, 5),
        bound_thoughts=always and direct,
        max_input_tokens=1_000_000 if version >= (4, 6) else 200_000,
    )


def _ceiling(family: str, version: tuple[int, int]) -> int:
    if version < (3, 5):
        return 4_096
    if version < (3, 7):
        return 8_192
    if family == "opus" and version < (4, 5):
        return 32_000
    return 64_000 if version < (4, 6) or family == "haiku" else 128_000


def _always_thinks(family: str, version: tuple[int, int]) -> bool:
    if family in ("fable", "mythos"):
        return version >= (5, 0)
    return family != "haiku" and version >= ((5, 5) if family == "opus" else (5, 6))


def _lost_forced_tools(family: str, version: tuple[int, int]) -> bool:
    if family in ("fable", "mythos"):
        return version >= (5, 1)
    return family != "haiku" and version >= (5, 5)
