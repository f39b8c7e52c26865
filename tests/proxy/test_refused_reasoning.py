"""What is sent once more because a provider does not take its reasoning back."""

from typing import Any

import pytest

from proxy.call import Call
from proxy.provider import Provider
from proxy.refused_reasoning import RefusedReasoning, is_refusal
from translators.errors import ErrorKind, ProviderError, TranslationError
from translators.fidelity import Report
from translators.openai_responses.translator import OpenAIResponsesTranslator
from translators.protocol import ResponseContext
from translators.reasoning import restore
from translators.wire.request import ChatCompletionRequest

Json = dict[str, Any]
ITEM: Json = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc"}
EXTRA: Json = {"openai": {"reasoning_items": [ITEM]}}
REFUSED = "The encrypted content for item rs_1 could not be verified."


@pytest.mark.parametrize(
    ("message", "code", "status", "refused"),
    [
        ("messages.1.content.0: Invalid `signature` in `thinking` block", None, 400, True),
        ("messages.1.content.0: Invalid `data` in `redacted_thinking` block", None, 400, True),
        ("Corrupted thought signature.", None, 400, True),
        ("Function call is missing a thought_signature in functionCall parts.", None, 400, True),
        (REFUSED, None, 400, True),
        ("No.", "invalid_encrypted_content", 400, True),
        (REFUSED, "invalid_encrypted_content", 500, False),
        (REFUSED, None, None, False),
        ("messages.1.content.0: Invalid `type` in block", None, 400, False),
        ("The encrypted content is too long.", None, 400, False),
    ],
)
def test_refusals_are_known_by_status_and_words(
    message: str, code: str | None, status: int | None, refused: bool
) -> None:
    error = ProviderError(message, kind="invalid", code=code, status=status)
    assert is_refusal(error) is refused


class Transport:
    """Refuses reasoning, and then everything with what it is given."""

    def __init__(
        self, then: ErrorKind = "server", refusal: str = REFUSED, last: str = "enough"
    ) -> None:
        self.then: ErrorKind = then
        self.last = last
        self.refusal = refusal
        self.sent: list[bool] = []

    async def send(self, request: Any, call: Call, /) -> Any:
        reasoning = any(item.get("type") == "reasoning" for item in request.body["input"])
        self.sent.append(reasoning)
        if reasoning:
            raise ProviderError(self.refusal, kind="invalid", status=400)
        raise ProviderError(self.last, kind=self.then, status=400)

    async def open(self, request: Any, call: Call, /) -> Any:
        return await self.send(request, call)

    async def aclose(self) -> None:
        pass


def request_with(extra: Json | None) -> ChatCompletionRequest:
    call: Json = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    call |= {} if extra is None else {"extra_content": extra}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ]
    return ChatCompletionRequest.model_validate({"model": "m", "messages": messages})


def nothing(error: Exception) -> None:
    pass


class Sending:
    def __init__(self, chat: ChatCompletionRequest, transport: Transport) -> None:
        self.told: list[Report] = []
        provider = Provider(OpenAIResponsesTranslator(), transport, nothing)
        context = ResponseContext(id="x", created=1, model="m")
        self.prepared = RefusedReasoning(
            lambda chat: provider.prepare(chat, model="m", context=context), chat, self.told.append
        )


CLIENTS = request_with(EXTRA)
RESTORED = restore(request_with(None), {"c1": EXTRA})


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("chat", "lost"),
    [(CLIENTS, ("messages[].tool_calls[].extra_content",)), (RESTORED, ())],
    ids=["clients", "restored"],
)
async def test_it_goes_once_more_without_and_stays_so(
    chat: ChatCompletionRequest, lost: tuple[str, ...], stream: bool
) -> None:
    transport, call = Transport(), Call()
    sending = Sending(chat, transport)
    assert sending.prepared.report.ignored == ()
    send = sending.prepared.open if stream else sending.prepared.complete
    for times in (2, 3):
        with pytest.raises(ProviderError, match="enough"):
            await send(call)
        assert transport.sent == [True, False, False][:times]
    assert [report.ignored for report in sending.told] == [lost]
    assert sending.prepared.report.ignored == lost


async def test_a_second_refusal_is_the_answer() -> None:
    transport = Transport(then="invalid", last=REFUSED)
    sending = Sending(CLIENTS, transport)
    for sent in ([True, False], [True, False, False]):
        with pytest.raises(ProviderError, match="could not be verified"):
            await sending.prepared.complete(Call())
        assert transport.sent == sent


async def test_the_report_of_the_refused_request_is_forgotten() -> None:
    sending = Sending(CLIENTS, Transport())
    with pytest.raises(ProviderError, match="enough"):
        await sending.prepared.complete(Call(report=Report(ignored=("seed",))))
    assert "seed" not in sending.told[0].ignored


async def test_a_choice_stays_the_choice_that_it_is() -> None:
    sending = Sending(CLIENTS, Transport())
    one = sending.prepared.for_choice(1)
    with pytest.raises(ProviderError, match="enough"):
        await one.complete(Call())
    now: Any = one._now  # pyright: ignore[reportPrivateUsage]
    assert now.context.choice == 1
    # Each choice finds out for itself.
    assert sending.prepared.report.ignored == ()
    assert one.report.ignored != ()


async def test_any_other_failure_is_the_answer() -> None:
    transport = Transport(refusal="Something else is wrong.")
    sending = Sending(CLIENTS, transport)
    with pytest.raises(ProviderError, match="Something else"):
        await sending.prepared.complete(Call())
    assert (transport.sent, sending.told) == ([True], [])


async def test_a_strict_request_is_not_sent_without() -> None:
    def strict(report: Report) -> None:
        raise TranslationError("strict", param=report.ignored[0])

    transport = Transport()
    provider = Provider(OpenAIResponsesTranslator(), transport, nothing)
    context = ResponseContext(id="x", created=1, model="m")
    prepared = RefusedReasoning(
        lambda chat: provider.prepare(chat, model="m", context=context), CLIENTS, strict
    )
    with pytest.raises(TranslationError, match="strict"):
        await prepared.complete(Call())
    assert transport.sent == [True]


async def test_what_an_agent_has_done_is_not_asked_for_once_more() -> None:
    transport = Transport()
    sending = Sending(CLIENTS, transport)
    with pytest.raises(ProviderError, match="could not be verified"):
        await sending.prepared.complete(Call(had_effects=True))
    assert (transport.sent, sending.told) == ([True], [])
