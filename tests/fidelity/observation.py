"""What a dialect does with a thing: seen from outside, by the difference that it makes."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from tests.fidelity.rows import Row
from tests.translators.chat_requests import chat_of
from translators.claude_agent.request import AgentRequest
from translators.errors import TranslationError
from translators.protocol import HttpRequest, Translated, Translator

__all__ = ["AnyRequest", "AnyTranslator", "Observation", "observe"]

AnyRequest = HttpRequest | AgentRequest
"""A native request: one for an API over HTTP, or what the Claude CLI is told."""

AnyTranslator = Translator[Any, Any, Any]


@dataclass(frozen=True)
class Observation:
    """What was seen.

    Attributes:
        verdict: As the contract words it.
        reported: The paths that the report names beyond those of the request without the thing;
            of a rejection, its `param`.
        sent: The JSON of what is sent: the fields of the native request, with `choices` and
            `contract`.
        changed: Whether the thing made a difference to what is sent.
    """

    verdict: str
    reported: tuple[str, ...] = ()
    sent: str = ""
    changed: bool = False


def observe(translator: AnyTranslator, row: Row, *, model: str) -> Observation:
    """Translate the row's request, and the one without the thing."""
    unused = _translate(translator, row.unused, model)
    try:
        used = _translate(translator, row.used, model)
    except TranslationError as error:
        return Observation("rejected", (error.param or "",))
    emulated = _beyond(used.report.emulated, unused.report.emulated)
    ignored = _beyond(used.report.ignored, unused.report.ignored)
    sent, before = _sent(used), _sent(unused)
    verdict = "ignored" if ignored else "emulated" if emulated else "native"
    return Observation(verdict, ignored or emulated, sent, sent != before)


def _translate(
    translator: AnyTranslator, request: dict[str, Any], model: str
) -> Translated[AnyRequest]:
    return translator.request(chat_of({"model": "persona", **request}), model=model)


def _beyond(paths: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in paths if path not in known)


def _sent(translated: Translated[AnyRequest]) -> str:
    contract = translated.contract
    return json.dumps(
        {
            **asdict(translated.request),
            "choices": translated.choices,
            "contract": None if contract is None else {"schema": contract.schema},
        }
    )
