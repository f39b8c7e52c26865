"""OpenAI's chat request to the body of `generateContent`.

https://ai.google.dev/api/generate-content
"""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from translators.fidelity import ReportBuilder, Rule, Rules
from translators.gemini_generate import parameters
from translators.gemini_generate.fidelity import RULES
from translators.gemini_generate.messages import to_conversation
from translators.gemini_generate.models import profile_of
from translators.gemini_generate.structured import to_structure
from translators.gemini_generate.tools import serves_search, to_tool_config, to_tools
from translators.json_contract import instruction
from translators.protocol import HttpRequest, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["DIALECT", "to_native"]

DIALECT = "gemini_generate"

_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
"""Names that are the same in a path: of the unreserved characters of RFC 3986."""

_RULES = Rules(RULES)
_WITHOUT_TOOLS = Rules({**RULES, "parallel_tool_calls": Rule("native", reason="it says nothing")})


def to_native(
    chat: ChatCompletionRequest, *, model: str, api_version: str, on_vertex: bool
) -> Translated[HttpRequest]:
    """Return the native request for `model`.

    Args:
        chat: OpenAI's request.
        model: The target's.
        api_version: The first step of the path.
        on_vertex: Whether it goes to Google's cloud rather than to the Gemini API.

    Raises:
        TranslationError: The API cannot express `chat`.
    """
    report = ReportBuilder(DIALECT)
    report.begin(chat, _RULES if chat.tools or chat.functions else _WITHOUT_TOOLS)
    profile = profile_of(model)
    if on_vertex:
        profile = replace(profile, search_beside_functions=False)
    google = parameters.google_fields(chat, report)
    conversation = to_conversation(
        chat.messages,
        profile=profile,
        report=report,
        server_tools=profile.search_beside_functions and serves_search(chat),
    )
    structure, contract = to_structure(chat, profile=profile, report=report)
    if contract is not None and "responseJsonSchema" not in structure:
        conversation.system.append({"text": instruction(contract)})
    choices = chat.n or 1
    if choices > 1:
        report.emulated("n")
    tools = to_tools(chat, profile=profile, report=report)
    optional: dict[str, Any] = {
        "systemInstruction": {"parts": conversation.system} if conversation.system else None,
        "tools": tools,
        "toolConfig": to_tool_config(chat, profile=profile, report=report),
        "contents": conversation.contents,
        "generationConfig": parameters.generation_config(
            chat, google, structure, profile=profile, report=report
        ),
        "safetySettings": parameters.to_safety_settings(chat, report),
        "cachedContent": google.get("cached_content"),
        "serviceTier": parameters.to_service_tier(chat.service_tier, report),
    }
    body = {name: value for name, value in optional.items() if value}
    request = HttpRequest(_path(model, api_version, bool(chat.stream)), body)
    return Translated(request, report.build(), choices=choices, contract=contract)


def _path(model: str, api_version: str, stream: bool) -> str:
    """Return the path; a streamed answer without `alt=sse` would be one JSON array."""
    collection, slash, name = model.rpartition("/")
    if slash and collection in ("models", "tunedModels"):
        place = f"{collection}/{_quoted(name)}"
    else:
        place = f"models/{_quoted(model)}"
    method = ":streamGenerateContent?alt=sse" if stream else ":generateContent"
    return f"/{api_version}/{place}{method}"


def _quoted(name: str) -> str:
    # Nearly every name is plain, and to see that takes a tenth of what `quote` does (2 µs).
    return name if _PLAIN.fullmatch(name) else quote(name, safe="")
