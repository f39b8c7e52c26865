"""A request that is sent once more, where the provider does not take its reasoning back.

A signature is good for one server, account and model, and for a time. When a provider refuses
one, the translation was right and the conversation would be stuck: each further turn brings the
same signature. Without any, the model goes on, and has only forgotten what it thought.
"""

import re
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from typing import Final, TypeVar

from proxy.call import Call
from proxy.provider import AnswerStream, Prepared
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.protocol import Completion, JsonContract
from translators.reasoning import without_reasoning
from translators.wire.request import ChatCompletionRequest

__all__ = ["RefusedReasoning", "is_refusal"]

ResultT = TypeVar("ResultT")
Prepare = Callable[[ChatCompletionRequest], Prepared]
Tell = Callable[[Report], None]

_REFUSAL: Final = re.compile(
    # Anthropic: "messages.1.content.0: Invalid `signature` in `thinking` block".
    r"invalid `(signature|data)` in `(redacted_)?thinking`"
    # Gemini: "Corrupted thought signature.", "Function call is missing a thought_signature".
    r"|thought[ _]signature"
    # OpenAI: "The encrypted content for item rs_1 could not be verified."
    r"|encrypted content for item \S+ could not be ",
    re.IGNORECASE,
)


def is_refusal(error: ProviderError) -> bool:
    """Whether a provider refuses the reasoning of earlier turns, and nothing else."""
    if error.status != 400:
        return False
    coded = error.code == "invalid_encrypted_content"
    return coded or _REFUSAL.search(error.message) is not None


class RefusedReasoning:
    """A `Prepared` of a request with reasoning, which does without where that is refused.

    Once it does, it stays so: a further attempt begins with what the last one learned.

    Args:
        prepare: Translates for the provider.
        chat: The request.
        tell: Takes the report of the request without reasoning, before it is sent and once it is
            answered. It may raise `TranslationError`.
    """

    __slots__ = ("_chat", "_index", "_lost", "_now", "_prepare", "_tell")

    def __init__(self, prepare: Prepare, chat: ChatCompletionRequest, tell: Tell) -> None:
        self._prepare = prepare
        self._chat = chat
        self._tell = tell
        self._index: int | None = None
        self._lost: tuple[str, ...] | None = None
        self._now = prepare(chat)

    @property
    def report(self) -> Report:
        """What the translation did not carry over as it stood."""
        return self._with_lost(self._now.report)

    @property
    def choices(self) -> int:
        """How many answers the client wants of an API that gives one for each request."""
        return self._now.choices

    @property
    def contract(self) -> JsonContract | None:
        """What the answer is to be checked for; None: nothing."""
        return self._now.contract

    def for_choice(self, index: int) -> "RefusedReasoning":
        """Return the same request, whose answer becomes the choice of that index."""
        one = copy(self)
        one._index, one._now = index, self._now.for_choice(index)
        return one

    async def complete(self, call: Call) -> Completion:
        """Send it; return the whole answer.

        Raises:
            ProviderError: The provider failed.
            TranslationError: It refused reasoning of the client's, and the request is strict.
        """
        return await self._sent(lambda prepared: prepared.complete(call), call)

    async def open(self, call: Call) -> AnswerStream:
        """Send it; return the answer as it comes, for the caller to close.

        Raises:
            ProviderError: The provider failed.
            TranslationError: It refused reasoning of the client's, and the request is strict.
        """
        return await self._sent(lambda prepared: prepared.open(call), call)

    async def _sent(self, send: Callable[[Prepared], Awaitable[ResultT]], call: Call) -> ResultT:
        if self._lost is None:
            try:
                return await send(self._now)
            except ProviderError as error:
                if call.had_effects or not is_refusal(error):
                    raise
            chat, self._lost = without_reasoning(self._chat)
            self._now = self._prepare(chat)
            if self._index is not None:
                self._now = self._now.for_choice(self._index)
            call.report = None
            self._told(call)
        answer = await send(self._now)
        # Another API may have been chosen meanwhile, whose report is another one.
        self._told(call)
        return answer

    def _told(self, call: Call) -> None:
        report = self._with_lost(call.report or self._now.report)
        self._tell(report)
        call.report = report

    def _with_lost(self, report: Report) -> Report:
        lost = tuple(path for path in self._lost or () if path not in report.ignored)
        return replace(report, ignored=(*report.ignored, *lost)) if lost else report
