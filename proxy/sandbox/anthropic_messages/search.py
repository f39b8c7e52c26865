"""The service's own search of the web: its blocks, and the check that they come back unchanged.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool

The id of a call is made from the blocks before it, and the encrypted result from them and the
call: an answer that paused must be sent back as it was.
"""

import hashlib

import msgspec

from proxy.sandbox.anthropic_messages import refusals
from proxy.sandbox.anthropic_messages.content import sign
from proxy.sandbox.anthropic_messages.wire import Body, ServerTool
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object

__all__ = ["before_answer", "check_replay", "check_tool", "citation", "is_offered", "lookup"]

_URL = "https://example.com/sandbox-search"
_TITLE = "What the sandbox has found"
_MARK = "srvtoolu_sandbox"
_OPTIONS = frozenset(
    {
        *("type", "name", "max_uses", "user_location", "allowed_domains", "blocked_domains"),
        *("cache_control", "allowed_callers", "defer_loading", "response_inclusion", "strict"),
    }
)
_PLACE = frozenset({"type", "city", "country", "region", "timezone"})


def is_offered(payload: JsonObject) -> bool:
    """Return whether the request lets the model search."""
    choice = as_object(payload.get("tool_choice")) or {}
    tools = [as_object(tool) or {} for tool in as_list(payload.get("tools")) or []]
    offered = any(str(tool.get("type")).startswith("web_search_") for tool in tools)
    return offered and choice.get("type") != "none"


def check_tool(tool: ServerTool, payload: JsonObject, path: str) -> None:
    """Refuse options that the search does not have.

    Raises:
        Rejection: naming the option.
    """
    if not tool.type.startswith("web_search_"):
        return
    place = as_object(payload.get("user_location")) or {}
    foreign = [*(payload.keys() - _OPTIONS), *(place.keys() - _PLACE)]
    if foreign:
        raise refusals.invalid(f"{path}.{tool.type}.{foreign[0]}: Extra inputs are not permitted")
    if place and place.get("type") != "approximate":
        raise refusals.invalid(f"{path}.{tool.type}.user_location.type: Field required")
    uses = payload.get("max_uses")
    if uses is not None and (not isinstance(uses, int) or uses < 1):
        raise refusals.invalid(f"{path}.{tool.type}.max_uses: Input should be greater than 0")


def before_answer(payload: JsonObject) -> list[JsonObject]:
    """Return the blocks of an answer that paused and is to be gone on with."""
    last = as_object((as_list(payload.get("messages")) or [None])[-1]) or {}
    if last.get("role") != "assistant":
        return []
    return [as_object(block) or {} for block in as_list(last.get("content")) or []]


def lookup(query: str, before: list[JsonObject]) -> tuple[JsonObject, JsonObject]:
    """Return the blocks of one search and of its result."""
    name = f"{_MARK}{_digest(before)[:16]}"
    call: JsonObject = {
        "type": "server_tool_use",
        "id": name,
        "name": "web_search",
        "input": {"query": query},
        "caller": {"type": "direct"},
    }
    found = {
        "type": "web_search_result",
        "url": _URL,
        "title": _TITLE,
        "encrypted_content": _sealed([*before, call]),
        "page_age": None,
    }
    return call, {
        "type": "web_search_tool_result",
        "tool_use_id": name,
        "content": [found],
        "caller": {"type": "direct"},
    }


def citation() -> JsonObject:
    """Return a citation of the result."""
    return {
        "type": "web_search_result_location",
        "url": _URL,
        "title": _TITLE,
        "encrypted_index": sign("index", _URL),
        "cited_text": "The sandbox has searched.",
    }


def check_replay(body: Body, payload: JsonObject) -> None:
    """Refuse a search of this service that does not come back as it was.

    Raises:
        Rejection: naming the block.
    """
    for i, message in enumerate(body.messages):
        if message.role != "assistant" or isinstance(message.content, str):
            continue
        blocks: list[JsonObject] = payload["messages"][i]["content"]
        for k, block in enumerate(blocks):
            if not str(block.get("id", "")).startswith(_MARK):
                continue
            _, result = lookup("", blocks[:k])
            result["content"][0]["encrypted_content"] = _sealed(blocks[: k + 1])
            same = block["id"] == result["tool_use_id"]
            if not same or _plain(blocks[k + 1 : k + 2]) != _plain([result]):
                raise refusals.invalid(
                    f"messages.{i}.content.{k}: `server_tool_use` blocks and their results cannot "
                    "be modified. These blocks must remain as they were in the original response."
                )


def _sealed(blocks: list[JsonObject]) -> str:
    return sign("result", _digest(blocks))


def _digest(blocks: list[JsonObject]) -> str:
    return hashlib.sha256(msgspec.json.encode(_plain(blocks), order="sorted")).hexdigest()


def _plain(blocks: list[JsonObject]) -> list[JsonObject]:
    """Leave out what says nothing."""
    return [
        {
            name: value
            for name, value in block.items()
            if name != "caller" and value not in (None, [])
        }
        for block in blocks
    ]
