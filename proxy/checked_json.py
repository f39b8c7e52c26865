"""JSON from an API that does not enforce it: the answer is checked, and asked for once more.

An answer is held back until it is whole: a stream's client hears heartbeats meanwhile, and while
nothing was told, another provider may still be asked. What is told is JSON that was checked, or
an answer that ended in another way than by being complete: calls, a refusal, a limit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from proxy.call import Call
from proxy.provider import AnswerStream, Prepared
from translators.choices import CombinedOutcome
from translators.errors import ProviderError, TranslationError
from translators.fidelity import Report
from translators.held_answer import HeldCompletion, HeldStream
from translators.json_contract import Finding, JsonCheck, repair_message
from translators.json_schema import PARAM
from translators.protocol import Chunk, Completion, JsonContract, Outcome
from translators.wire.content import AssistantMessage, UserMessage
from translators.wire.request import ChatCompletionRequest

__all__ = ["MAX_HELD", "CheckedJson"]

MAX_HELD = 64 * 1024 * 1024
"""Bytes of a stream's chunks. More is a fault, not an answer."""


@dataclass(frozen=True, slots=True)
class CheckedJson:
    """A prepared request whose answer is told only if it is the JSON that was asked for.

    Attributes:
        prepared: The request.
        check: For its answer.
        chat: What `prepared` was made of.
        prepare: Makes the same of another request, for the same target.
        choice: The index of the choice that the answer becomes; None: it is the only one.
    """

    prepared: Prepared
    check: JsonCheck
    chat: ChatCompletionRequest
    prepare: Callable[[ChatCompletionRequest], Prepared]
    choice: int | None = None

    @property
    def report(self) -> Report:
        """What the translation did not carry over as it stood, and the check cannot check."""
        report = self.prepared.report
        if not self.check.unchecked:
            return report
        unchecked = (f"{PARAM}.{keyword}" for keyword in self.check.unchecked)
        return replace(report, ignored=(*report.ignored, *unchecked))

    @property
    def choices(self) -> int:
        """How many answers the client wants of an API that gives one for each request."""
        return self.prepared.choices

    @property
    def contract(self) -> JsonContract | None:
        """What the answer is checked for."""
        return self.prepared.contract

    def for_choice(self, index: int) -> "CheckedJson":
        """Return the same request, whose answer becomes the choice of that index."""
        return replace(self, prepared=self.prepared.for_choice(index), choice=index)

    async def complete(self, call: Call) -> Completion:
        """Send it; return the answer once it is right.

        Raises:
            ProviderError: The provider failed, or its answer was not right in the end either.
        """
        completion = await self.prepared.complete(call)
        outcomes = [completion.outcome]
        answer = HeldCompletion(completion)
        found = self.look_at(answer)
        if found.problems:
            call.follow_ups += 1
            completion = await self.repair(answer, found).complete(call)
            outcomes.append(completion.outcome)
            answer = HeldCompletion(completion)
            found = self.look_at(answer)
            if found.problems:
                raise not_mended(found)
        outcome = CombinedOutcome(outcomes, speaker=-1)
        return answer.told(outcome, text=found.json, start=found.start)

    async def open(self, call: Call) -> "CheckedStream":
        """Send it; return the answer, which comes in one batch once it is right.

        Raises:
            ProviderError: The provider failed.
        """
        return CheckedStream(self, call, await self.prepared.open(call))

    def look_at(self, answer: HeldCompletion | HeldStream) -> Finding:
        """Return what the answer has of JSON; neither JSON nor problems where it need have none."""
        if answer.finish_reason != "stop" or answer.refused:
            return Finding(None)
        return self.check.find(answer.text)

    def repair(self, answer: HeldCompletion | HeldStream, found: Finding) -> Prepared:
        """Return the request for a better answer: the same chat, and what is wrong with the first.

        Raises:
            ProviderError: The target's API cannot express it.
        """
        said = AssistantMessage(role="assistant", content=answer.text)
        asked = UserMessage(
            role="user", content=repair_message(self.check.contract, found.problems)
        )
        messages = [*self.chat.messages, *([said] if answer.text.strip() else ()), asked]
        try:
            prepared = self.prepare(self.chat.model_copy(update={"messages": messages}))
        except TranslationError as error:
            raise not_mended(found) from error
        return prepared if self.choice is None else prepared.for_choice(self.choice)


class CheckedStream:
    """The chunks of one checked answer, all at once."""

    __slots__ = ("_answer", "_call", "_outcomes", "_request", "_told", "outcome")

    def __init__(self, request: CheckedJson, call: Call, answer: AnswerStream) -> None:
        self._request = request
        self._call = call
        self._answer = answer
        self._outcomes = [answer.outcome]
        self._told = False
        self.outcome: Outcome = CombinedOutcome(self._outcomes, speaker=-1)

    def __aiter__(self) -> "CheckedStream":
        return self

    async def __anext__(self) -> list[Chunk]:
        """Return all chunks.

        Raises:
            ProviderError: The answer broke off, or was not right in the end either.
        """
        if self._told:
            raise StopAsyncIteration
        request = self._request
        held = await self._read()
        found = request.look_at(held)
        if found.problems:
            self._call.follow_ups += 1
            self._answer = await request.repair(held, found).open(self._call)
            self._outcomes.append(self._answer.outcome)
            held = await self._read()
            found = request.look_at(held)
            if found.problems:
                raise not_mended(found)
        self._told = True
        usage = self.outcome.usage if len(self._outcomes) > 1 else None
        return list(held.told(usage, text=found.json, start=found.start))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._answer.aclose()

    async def _read(self) -> HeldStream:
        """Read an answer to its end, and leave its connection to the next request."""
        held = HeldStream()
        async for batch in self._answer:
            held.hold(batch)
            if held.size > MAX_HELD:
                error = ProviderError(
                    f"The provider's answer is larger than {MAX_HELD} bytes.", kind="protocol"
                )
                error.own_limit = True
                raise error
        await self._answer.aclose()
        return held


def not_mended(found: Finding) -> ProviderError:
    """Return the error for an answer that is not what was asked for.

    It names places and rules, not what stands there: error texts are not for what models say.
    """
    first = found.problems[0]
    where = f"at `{first.place}` it breaks `{first.rule}`" if first.place else "it is no JSON"
    return ProviderError(
        "The provider's answer is not the JSON that `response_format` asks for, and asking once "
        f"more did not mend it: {where}.",
        kind="protocol",
        code="invalid_json_answer",
    )
