"""Requests of the in-process API: all that the wire carries, and what is made of it on the way."""

import dataclasses
import json
from typing import Any

import pytest
from execution_platform.exceptions import (
    InvalidRequest,
    NoProvider,
    ProviderError,
    RouterError,
    TranslationError,
)
from execution_platform.router import PersonaRouter
from execution_platform.spi import (
    AllowedTools,
    AudioPart,
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    NamedTool,
    OtherPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    ToolCall,
    ToolDefinition,
    ToolParameter,
)
from execution_platform.writing import ANSWER_THIS, SAME, body_of

from tests.inprocess.sandboxed import Upstream, ask, pieces, run, text_of
from translators.wire.request import ChatCompletionRequest, parse_request

PNG = "data:image/png;base64,iVBORw0KGgo="


def written(request: ChatRequest) -> dict[str, Any]:
    data = body_of(request, persona="p", stream=False)
    # What it is read by at the other end has nothing to say against it.
    assert parse_request(data).to_wire() == json.loads(data)
    return json.loads(data)


def test_every_field_of_the_wire_has_an_attribute_or_a_reason() -> None:
    made = {"model", "messages", "tools", "tool_choice", "response_format"}
    # How the answer is taken decides; the deprecated form of `tools` is refused.
    reasons = {"stream", "stream_options", "functions", "function_call"}
    assert set(ChatCompletionRequest.model_fields) == {*SAME, *made, *reasons}
    own = {"system", "prefill", "strict", "cache_control", "extra"}
    assert {f.name for f in dataclasses.fields(ChatRequest)} == {*SAME, *made, *own}


def test_what_is_not_set_is_not_sent() -> None:
    assert written(ask("Hi")) == {
        "model": "p",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
    }


def test_values_are_sent_under_their_own_names() -> None:
    values: dict[str, Any] = {
        "max_tokens": 5,
        "temperature": 0.0,
        "stop": ["x"],
        "logprobs": False,
        "logit_bias": {"5": -1},
        "metadata": {"a": "b"},
        "modalities": ["text"],
        "audio": {"voice": "alloy", "format": "wav"},
        "web_search_options": {},
    }
    wire = written(ask("Hi", **values, extra={"vendor_field": [1]}))
    assert {name: wire[name] for name in values} == values
    assert wire["vendor_field"] == [1]


def test_messages_and_parts() -> None:
    marked = {"cache_control": {"type": "ephemeral"}}
    request = ChatRequest(
        system="Be kind.",
        messages=[
            Message(
                "user",
                [
                    TextPart("What is this?", extra=marked),
                    ImagePart(PNG, detail="low"),
                    ImagePart("https://example.com/a.png"),
                    AudioPart("UklGRg==", "wav"),
                    FilePart(file_data="data:application/pdf;base64,JVBERi0=", filename="a.pdf"),
                    FilePart(file_id="file-1"),
                    OtherPart("video_url", {"video_url": {"url": "https://example.com/v"}}),
                ],
                name="Ada",
            ),
            Message(
                "assistant",
                None,
                tool_calls=[
                    ToolCall("1", "look", '{"a": 1}', extra={"extra_content": {"x": {}}}),
                    ToolCall("2", "say", "free text", type="custom"),
                ],
                reasoning="Hm.",
                reasoning_details=[{"type": "reasoning.text", "text": "Hm."}],
            ),
            Message("tool", [TextPart("result")], tool_call_id="1"),
            Message("tool", "said", tool_call_id="2"),
            Message("assistant", [RefusalPart("No.")], refusal="No.", extra={"audio": {"id": "a"}}),
            Message("user", "And now?"),
        ],
    )
    system, user, calls, one, two, refused, last = written(request)["messages"]
    assert system == {"role": "system", "content": "Be kind."}
    assert user["name"] == "Ada"
    assert user["content"] == [
        {"type": "text", "text": "What is this?", **marked},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
        },
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/v"}},
    ]
    assert calls == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"a": 1}'},
                "extra_content": {"x": {}},
            },
            {"id": "2", "type": "custom", "custom": {"name": "say", "input": "free text"}},
        ],
        "reasoning_content": "Hm.",
        "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}],
    }
    assert one == {
        "role": "tool",
        "content": [{"type": "text", "text": "result"}],
        "tool_call_id": "1",
    }
    assert two["tool_call_id"] == "2"
    assert refused["content"] == [{"type": "refusal", "refusal": "No."}]
    assert (refused["refusal"], refused["audio"]) == ("No.", {"id": "a"})
    assert last == {"role": "user", "content": "And now?"}


def test_tools_choices_and_formats() -> None:
    tools = [
        ToolDefinition(
            "book",
            "Books a trip.",
            [
                ToolParameter("to", "string", required=True, description="A city."),
                ToolParameter("class_", "string", enum=["first", "second"]),
                ToolParameter("days", "array", items={"type": "integer"}, schema={"minItems": 1}),
                ToolParameter(
                    "who", "object", True, properties=[ToolParameter("name", required=True)]
                ),
            ],
            strict=True,
            extra={"cache_control": {}},
        ),
        ToolDefinition("raw", parameters={"type": "object", "properties": {}}),
        ToolDefinition("none"),
        ToolDefinition("say", "Says it.", type="custom", format={"type": "text"}),
    ]
    wire = written(ask("Hi", tools=tools, tool_choice=NamedTool("book")))
    book, raw, none, say = wire["tools"]
    assert book == {
        "type": "function",
        "function": {
            "name": "book",
            "description": "Books a trip.",
            "parameters": {
                "type": "object",
                "properties": {
                    "to": {"type": "string", "description": "A city."},
                    "class_": {"type": "string", "enum": ["first", "second"]},
                    "days": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
                    "who": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}},
                        "required": ["name"],
                    },
                },
                "required": ["to", "who"],
            },
            "strict": True,
        },
        "cache_control": {},
    }
    assert raw["function"]["parameters"] == {"type": "object", "properties": {}}
    assert none == {"type": "function", "function": {"name": "none"}}
    assert say["custom"] == {"name": "say", "description": "Says it.", "format": {"type": "text"}}
    assert wire["tool_choice"] == {"type": "function", "function": {"name": "book"}}

    allowed = AllowedTools([NamedTool("raw"), NamedTool("say", "custom")], "required")
    assert written(ask("Hi", tools=tools, tool_choice=allowed))["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [
                {"type": "function", "function": {"name": "raw"}},
                {"type": "custom", "custom": {"name": "say"}},
            ],
        },
    }
    assert written(ask("Hi", tools=tools, tool_choice="auto"))["tool_choice"] == "auto"

    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = ResponseFormat(schema=schema, name="it", strict=False)
    assert written(ask("Hi", response_format=form))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "it", "schema": schema, "strict": False},
    }
    plain = ResponseFormat("json_object")
    assert written(ask("Hi", response_format=plain))["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("arguments", "value"),
    [('{"a": [1]}', {"a": [1]}), ("", {}), (" \n", {}), ("[1]", None), ('{"a', None), ("3", None)],
)
def test_arguments_are_parsed_or_refused(arguments: str, value: Any) -> None:
    call = ToolCall("1", "look", arguments)
    if value is not None:
        assert call.parsed() == value
        return
    with pytest.raises(ValueError, match="`look`"):
        call.parsed()


@pytest.mark.parametrize("persona", ["openai_only", "anthropic_only"])
def test_a_conversation_that_ends_with_the_assistant_is_answered(
    upstream: Upstream, persona: str
) -> None:
    messages = [Message("user", "Review this"), Message("assistant", "a draft")]

    async def main() -> None:
        client = upstream.router().get_client(persona)
        upstream.requests()
        whole = await client.chat(ChatRequest(messages))
        (sent,) = upstream.requests()
        last = sent["messages"][-1]
        assert last["role"] == "user"
        assert ANSWER_THIS in json.dumps(last["content"])
        assert "a draft" in json.dumps(sent["messages"][-2])
        # It is told, like all that was done to a request.
        assert whole.report.emulated[0] == "messages"
        assert messages[-1].content == "a draft" and len(messages) == 2
        # The calls of a last message have results, or are nobody's to answer.
        streamed = client.chat(ChatRequest(messages))
        assert [chunk async for chunk in streamed]
        assert streamed.served.report == whole.report

    run(main)


def test_an_answer_may_be_begun_for_a_provider_that_goes_on_with_it(upstream: Upstream) -> None:
    messages = [Message("user", "Say A B C"), Message("assistant", "A B")]

    async def main() -> None:
        upstream.requests()
        client = upstream.router().get_client("openai_only")
        whole = await client.chat(ChatRequest(messages, prefill=True))
        assert whole.report.emulated == ()
        (sent,) = upstream.requests()
        assert sent["messages"][-1] == {"role": "assistant", "content": "A B"}
        # Where it cannot be had, the provider says so, and nothing is put in its place.
        with pytest.raises((TranslationError, ProviderError)):
            await (
                upstream.router()
                .get_client("anthropic_only")
                .chat(ChatRequest(messages, prefill=True))
            )

    run(main)


@pytest.mark.parametrize("persona", ["openai_only", "anthropic_only"])
def test_a_conversation_may_begin_with_the_assistant(upstream: Upstream, persona: str) -> None:
    messages = [
        Message("assistant", "The plan."),
        Message("assistant", "The design."),
        Message("user", "Review it"),
    ]

    async def main() -> None:
        client = upstream.router().get_client(persona)
        upstream.requests()
        assert "> Review it" in await text_of(client, ChatRequest(messages))
        sent = json.dumps(upstream.requests())
        assert "The plan." in sent and "The design." in sent

    run(main)


def test_the_callers_instructions_come_after_the_personas(upstream: Upstream) -> None:
    async def main() -> None:
        upstream.requests()
        await upstream.router().get_client("openai_only").chat(ask("Hi", system="Be brief."))
        (sent,) = upstream.requests()
        assert [(m["role"], m["content"]) for m in sent["messages"]] == [
            ("system", "You are the persona of the tests."),
            ("system", "Be brief."),
            ("user", "Hi"),
        ]

    run(main)


@pytest.mark.parametrize(
    ("model", "provider", "asked"),
    [
        (None, "openai", "gpt-4.1"),
        ("claude-sonnet-4-6", "anthropic", "claude-sonnet-4-6"),
        ("anthropic/claude-sonnet-4-6", "anthropic", "claude-sonnet-4-6"),
        ("gpt-4.1", "openai", "gpt-4.1"),
    ],
)
def test_another_model_of_the_persona(
    upstream: Upstream, model: str | None, provider: str, asked: str
) -> None:
    async def main() -> None:
        client = upstream.router().get_client("openai_first")
        upstream.requests()
        whole, chat = client.chat(ask("Hi", model=model)), client.chat(ask("Hi", model=model))
        assert (await whole).text == "".join([chunk.delta_text or "" async for chunk in chat])
        for served in (whole.served, chat.served):
            assert (served.persona, served.provider) == ("openai_first", provider)
        arrived = upstream.requests()
        assert len(arrived) == 2
        for sent in arrived:
            assert sent["model"] == asked
            # The persona is the same.
            assert "You are the persona of the tests." in json.dumps(sent)

    run(main)


def test_a_model_that_was_named_has_no_other_to_fall_back_to(upstream: Upstream) -> None:
    async def main() -> None:
        client = upstream.router().get_client("openai_first")
        with pytest.raises(ProviderError) as caught:
            await pieces(
                client, ask("Hi [sandbox provider=openai fail=503]", model="openai/gpt-4.1")
            )
        assert caught.value.provider == "openai"
        with pytest.raises(InvalidRequest, match="anthropic/claude-sonnet-4-6"):
            await pieces(client, ask("Hi", model="second_openai/gpt-4.1-mini"))

    run(main)


def test_a_client_of_a_model_itself_takes_no_other(upstream: Upstream) -> None:
    policy = json.loads(upstream.policy.read_text())
    upstream.policy.write_text(json.dumps({**policy, "allow_direct_models": True}))

    async def main() -> None:
        client = upstream.router().get_client("openai/gpt-4.1-nano")
        assert (await client.chat(ask("Hi"))).model.startswith("gpt-4.1-nano")
        with pytest.raises(InvalidRequest, match="leave `model` out"):
            await client.chat(ask("Hi", model="gpt-4.1"))

    run(main)


def test_strict_refuses_what_would_be_ignored(upstream: Upstream) -> None:
    async def main() -> None:
        client = upstream.router().get_client("anthropic_only")
        assert (await client.chat(ask("Hi", seed=1))).report.ignored == ("seed",)
        with pytest.raises(RouterError) as caught:
            await client.chat(ask("Hi", seed=1, strict=True))
        assert caught.value.param == "seed"

    run(main)


@pytest.mark.usefixtures("sandbox")
def test_json_that_follows_a_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }

    async def main() -> None:
        for persona in ("architect", "qa_engineer"):
            client = PersonaRouter().get_client(persona)
            form = ResponseFormat(schema=schema, strict=True)
            whole = await client.chat(ask("Who?", response_format=form))
            assert json.loads(whole.text).keys() == {"name", "age"}

    run(main)


@pytest.mark.usefixtures("sandbox")
def test_a_thought_goes_back_with_the_next_turn() -> None:
    tools = [ToolDefinition("look")]
    first = Message("user", "Look [sandbox think=hmm tool=look]")

    async def main() -> None:
        client = PersonaRouter().get_client("architect")
        whole = await client.chat(
            ChatRequest([first], tools=tools, reasoning_effort="high", max_tokens=9000)
        )
        assert whole.message.reasoning == "hmm"
        assert whole.message.reasoning_details
        (call,) = whole.tool_calls
        result = Message("tool", "seen", tool_call_id=call.id)
        after = await client.chat(
            ChatRequest(
                [first, whole.message, result],
                tools=tools,
                reasoning_effort="high",
                max_tokens=9000,
                strict=True,
            )
        )
        assert "seen" in after.text

    run(main)


def test_what_no_provider_can_do_names_what_is_missing(upstream: Upstream) -> None:
    async def main() -> None:
        client = upstream.router().get_client("openai_only")
        with pytest.raises(NoProvider, match="audio") as caught:
            await client.chat(ChatRequest([Message("user", [AudioPart("UklGRg==", "wav")])]))
        assert caught.value.status_hint == 400

    run(main)
