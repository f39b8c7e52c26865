"""OpenAI's two APIs behind one provider: Chat Completions, and Responses for what it refuses.

OpenAI's newer models take function tools on Chat Completions only where they do not reason, and
some models are not there at all. Either refusal names the other API:

* 400 "Function tools with reasoning_effort are not supported for gpt-5.6-terra in
  /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to
  'none'." (webbrain#382, joplin#16451; until mid-2026 "Please use /v1/responses instead.",
  pipecat#4043)
* 404 "This model is only supported in v1/responses and not in v1/chat/completions."

Such a request is sent again through Responses, in the same attempt, and what is like it goes
there at once from then on. What it was refused for is not looked up in a table of models: a
table is out of date when the next model comes, and compatible servers have models of their own.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar, cast

from proxy.arranged import arranged
from proxy.call import Call
from proxy.provider import AnswerStream, ChatProvider, Prepared
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.openai_responses.reasoning import FORMAT
from translators.protocol import Completion, JsonContract, ResponseContext
from translators.reasoning import VENDORS, without_restored
from translators.wire.content import AssistantMessage
from translators.wire.request import ChatCompletionRequest

__all__ = ["ApiChoice", "Likeness", "is_referral"]

ResultT = TypeVar("ResultT")

CHAT: Final = "openai_chat"
RESPONSES: Final = "openai_responses"

MOST_LEARNED: Final = 1000
"""Likenesses that are remembered; a client may name models, where the policy lets it."""

_REFERRAL = re.compile(r"\b(use|only supported in) /?v1/responses\b")


class Likeness(NamedTuple):
    """What decides whether a request is refused: requests alike in it fare alike."""

    model: str
    tools: bool
    effort: str | None

    @classmethod
    def of(cls, chat: ChatCompletionRequest, model: str) -> "Likeness":
        """Return what is to be known of a request for `model`."""
        return cls(model, bool(chat.tools or chat.functions), chat.reasoning_effort)


def is_referral(error: ProviderError) -> bool:
    """Whether an API refuses a request and names Responses as the one that takes it."""
    refused = error.status in (400, 404)
    return refused and _REFERRAL.search(str(error)) is not None


@dataclass(frozen=True, slots=True)
class ApiChoice:
    """A `ChatProvider` of both APIs.

    Attributes:
        chat: Speaks Chat Completions.
        responses: Speaks Responses, to the same server.
        only_responses: Send everything through Responses.
        at_openai: The server is OpenAI's: what Responses has begun goes on there, although nothing
            was learned yet. Another server may not know the API that the conversation comes from.
        learned: What Chat Completions has refused and Responses has answered, oldest first. For
            the life of the process.
    """

    chat: ChatProvider
    responses: ChatProvider
    only_responses: bool = False
    at_openai: bool = False
    learned: dict[Likeness, None] = field(default_factory=dict[Likeness, None])

    def start(self) -> None:
        """Begin what goes on beside requests, inside a running event loop."""
        self.chat.start()
        self.responses.start()

    def dialect(self, chat: ChatCompletionRequest, *, model: str) -> str:
        """Return the dialect that `chat` would be sent in, by what is known so far."""
        known = self.only_responses or Likeness.of(chat, model) in self.learned
        if known or (self.at_openai and _has_begun(chat)):
            return RESPONSES
        return CHAT

    def media_to_fetch(self, chat: ChatCompletionRequest, *, model: str) -> Sequence[str]:
        """Return what the API that `chat` goes to first would not fetch.

        Chat Completions takes less by address: what is fetched for it serves the other one, too.
        """
        first = self.responses if self.dialect(chat, model=model) == RESPONSES else self.chat
        return first.media_to_fetch(chat, model=model)

    def prepare(
        self, chat: ChatCompletionRequest, *, model: str, context: ResponseContext
    ) -> Prepared:
        """Translate a request for `model`, for the API that it is to be sent to first.

        Raises:
            TranslationError: That API cannot express it.
        """
        if self.dialect(chat, model=model) == RESPONSES:
            return _Through(RESPONSES, self.responses.prepare(chat, model=model, context=context))
        return _Referable(self, chat, model, context)

    def learn(self, likeness: Likeness) -> None:
        """Remember that requests like this go to Responses."""
        while len(self.learned) >= MOST_LEARNED:
            del self.learned[next(iter(self.learned))]
        self.learned[likeness] = None

    async def aclose(self) -> None:
        """Release what the two hold."""
        await self.chat.aclose()
        await self.responses.aclose()


def _has_begun(chat: ChatCompletionRequest) -> bool:
    """Whether the conversation brings back reasoning that Responses has given."""
    for message in chat.messages:
        if not isinstance(message, AssistantMessage):
            continue
        details = (message.model_extra or {}).get("reasoning_details")
        entries = cast("list[Any]", details) if isinstance(details, list) else []
        if any(_object(entry).get("format") == FORMAT for entry in entries):
            return True
        for call in message.tool_calls or ():
            extra = _object((call.model_extra or {}).get("extra_content"))
            if extra.get(VENDORS[RESPONSES]):
                return True
    return False


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class _Through:
    """A request for one of the APIs, which says where it goes."""

    dialect: str
    prepared: Prepared

    @property
    def report(self) -> Report:
        return self.prepared.report

    @property
    def choices(self) -> int:
        return self.prepared.choices

    @property
    def contract(self) -> JsonContract | None:
        return self.prepared.contract

    def for_choice(self, index: int) -> "_Through":
        return _Through(self.dialect, self.prepared.for_choice(index))

    async def complete(self, call: Call) -> Completion:
        call.dialect = self.dialect
        return await self.prepared.complete(call)

    async def open(self, call: Call) -> AnswerStream:
        call.dialect = self.dialect
        return await self.prepared.open(call)


class _Referable:
    """A request for Chat Completions that may be referred to Responses.

    Once it was, it stays there: a further attempt begins with what the last one learned.
    """

    __slots__ = ("_chat", "_context", "_model", "_now", "_provider", "_refusal")

    def __init__(
        self, provider: ApiChoice, chat: ChatCompletionRequest, model: str, context: ResponseContext
    ) -> None:
        self._provider = provider
        self._chat = chat
        self._model = model
        self._context = context
        self._refusal: ProviderError | None = None
        # Chat Completions has no use for what the store has added, and no client sent it: it is
        # not to be reported as ignored. Should Responses be asked, it is there.
        sent = without_restored(chat)
        self._now: Prepared = _Through(
            CHAT, provider.chat.prepare(sent, model=model, context=context)
        )

    @property
    def report(self) -> Report:
        return self._now.report

    @property
    def choices(self) -> int:
        return self._now.choices

    @property
    def contract(self) -> JsonContract | None:
        return self._now.contract

    def for_choice(self, index: int) -> Prepared:
        return self._now.for_choice(index)

    async def complete(self, call: Call) -> Completion:
        return await self._sent(lambda prepared: prepared.complete(call), call)

    async def open(self, call: Call) -> AnswerStream:
        return await self._sent(lambda prepared: prepared.open(call), call)

    async def _sent(self, send: Callable[[Prepared], Awaitable[ResultT]], call: Call) -> ResultT:
        if self._refusal is None:
            try:
                return await send(self._now)
            except ProviderError as error:
                if not is_referral(error):
                    raise
                refusal = error
            self._refer(refusal, call)
        try:
            answer = await send(self._now)
        except ProviderError as error:
            if error.status == 404 and self._refusal is not None:
                # The server names an API that it does not have: its first word says more.
                raise self._refusal from error
            raise
        self._provider.learn(Likeness.of(self._chat, self._model))
        return answer

    def _refer(self, refusal: ProviderError, call: Call) -> None:
        """Translate for Responses.

        Raises:
            TranslationError: It cannot express the request, or would ignore something of a
                request that is strict.
        """
        prepare = partial(
            self._provider.responses.prepare, model=self._model, context=self._context
        )
        prepared = arranged(prepare, self._chat, self._context)
        call.switch(RESPONSES, prepared.report)
        self._now, self._refusal = _Through(RESPONSES, prepared), refusal
