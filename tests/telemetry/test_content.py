"""Requests and answers as the GenAI conventions have them, within a limit."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.telemetry.content import MOST_PARTS, Asked, Writer
from proxy.telemetry.redaction import REDACTED, Head, Redactor
from tests.telemetry import genai_schema as schema
from tests.telemetry.secrets_of_tests import KNOWN, SHAPED
from translators.wire.request import ChatCompletionRequest

Json = dict[str, Any]

LIMIT = 64 * 1024
PNG = base64.b64encode(b"\x89PNG" + bytes(996)).decode()


def request(*messages: Json, **fields: Any) -> ChatCompletionRequest:
    body = {"model": "m", "messages": list(messages), **fields}
    return ChatCompletionRequest.model_validate_json(json.dumps(body))


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def asked(
    *messages: Json, limit: int = LIMIT, apart: bool = False, **fields: Any
) -> tuple[Asked, Any]:
    writer = Writer(Redactor(), limit)
    found = writer.asked(request(*messages, **fields), instructions_apart=apart)
    assert len(found.messages.encode()) <= limit
    return found, schema.messages(found.messages)


def parts(content: Any) -> Any:
    _, (message,) = asked(user(content))
    return message["parts"]


def answered(*choices: Json, limit: int = LIMIT, unfinished: str = "error") -> Any:
    said = Writer(Redactor(), limit).answered(choices, unfinished=unfinished)
    assert len(said.encode()) <= limit
    return schema.messages(said)


def choice(message: Json, reason: str | None = "stop") -> Json:
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}


class TestMessages:
    def test_texts_in_both_forms(self) -> None:
        assert parts("Hi") == [{"type": "text", "content": "Hi"}]
        two = [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
        assert parts(two) == [{"type": "text", "content": "A"}, {"type": "text", "content": "B"}]

    def test_a_conversation_with_tools(self) -> None:
        call = {"name": "f", "arguments": '{"city": "Köln", "days": 3}'}
        made = {"role": "assistant", "content": "Let me see.", "reasoning_content": "Hm."}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        _, found = asked(
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": "Be short."},
            {**user("Hi"), "name": "ann"},
            {**made, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        )
        assert found == [
            {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
            {"role": "developer", "parts": [{"type": "text", "content": "Be short."}]},
            {"role": "user", "parts": [{"type": "text", "content": "Hi"}], "name": "ann"},
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "Hm."},
                    {"type": "text", "content": "Let me see."},
                    {
                        "type": "tool_call",
                        "name": "f",
                        "id": "call_1",
                        "arguments": {"city": "Köln", "days": 3},
                    },
                ],
            },
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "response": "sunny", "id": "call_1"}],
            },
        ]

    def test_older_and_rarer_forms(self) -> None:
        custom = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
        _, found = asked(
            {"role": "assistant", "function_call": {"name": "g", "arguments": "not json"}},
            {"role": "function", "name": "g", "content": None},
            {"role": "assistant", "content": None, "refusal": "No.", "tool_calls": [custom]},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "1"}]},
            {"role": "assistant", "audio": {"id": "audio_1"}},
        )
        spoken = [message["parts"] for message in found]
        assert spoken == [
            [{"type": "tool_call", "name": "g", "arguments": "not json"}],
            [{"type": "tool_call_response", "response": ""}],
            [
                {"type": "refusal", "content": "No."},
                {"type": "tool_call", "name": "sql", "id": "c", "arguments": "SELECT 1"},
            ],
            [
                {
                    "type": "tool_call_response",
                    "response": [{"type": "text", "content": "1"}],
                    "id": "c",
                }
            ],
            [{"type": "file", "modality": "audio", "file_id": "audio_1"}],
        ]
        assert found[1]["role"] == "tool"

    def test_what_a_client_carries_back_for_a_provider_is_left_out(self) -> None:
        signed = [{"type": "reasoning.encrypted", "data": "opaque-opaque"}]
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        extra = {"extra_content": {"google": {"thought_signature": "opaque-opaque"}}}
        message = {"role": "assistant", "reasoning_details": signed, "tool_calls": [call | extra]}
        found, _ = asked(message)
        assert "opaque-opaque" not in found.messages

    @pytest.mark.parametrize(
        ("arguments", "shown"),
        [
            ('{"a": [1, 2.5, null, true, {"b": "c"}]}', {"a": [1, 2.5, None, True, {"b": "c"}]}),
            ('"text"', "text"),
            ("", ""),
            ('{"a": 1', '{"a": 1'),
            ('{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
        ],
    )
    def test_arguments_are_json_where_they_are(self, arguments: str, shown: Any) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
        _, found = asked({"role": "assistant", "tool_calls": [call]})
        assert found[0]["parts"][0]["arguments"] == shown


class TestInstructions:
    def test_they_stand_apart_where_the_api_has_them_apart(self) -> None:
        two = [{"type": "text", "text": "B"}, {"type": "text", "text": "C"}]
        messages: list[Json] = [
            {"role": "system", "content": "A"},
            {"role": "developer", "content": two},
            user("Hi"),
            {"role": "system", "content": "later"},
        ]
        found, said = asked(*messages, apart=True)
        assert [m["role"] for m in said] == ["user", "system"]
        assert [p["content"] for p in schema.instructions(found.instructions)] == ["A", "B", "C"]
        found, said = asked(*messages)
        assert len(said) == 4
        assert found.instructions is None

    def test_there_may_be_none_or_nothing_else(self) -> None:
        assert asked(user("Hi"), apart=True)[0].instructions is None
        found, said = asked({"role": "system", "content": "A"}, apart=True)
        assert said == []
        assert len(schema.instructions(found.instructions)) == 1


class TestTools:
    def test_definitions(self) -> None:
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
        function = {"name": "f", "description": "Does.", "parameters": parameters}
        custom = {"name": "sql", "format": {"type": "grammar"}}
        tools = [
            {"type": "function", "function": function},
            {"type": "function", "function": {"name": "bare"}},
            {"type": "custom", "custom": custom},
            {"type": "web_search_preview"},
        ]
        found, _ = asked(user("Hi"), tools=tools)
        assert schema.tools(found.tools) == [
            {"type": "function", "name": "f", "description": "Does.", "parameters": parameters},
            {"type": "function", "name": "bare"},
            {"type": "custom", "name": "sql", "format": {"type": "grammar"}},
            {"type": "web_search_preview", "name": "web_search_preview"},
        ]
        found, _ = asked(user("Hi"), functions=[function])
        assert [tool["name"] for tool in schema.tools(found.tools)] == ["f"]
        assert asked(user("Hi"))[0].tools is None

    def test_a_large_schema_is_left_out_whole_and_its_size_said(self) -> None:
        large = {"type": "object", "description": "x" * 5000}
        tools: list[Json] = [
            {"type": "function", "function": {"name": f"f{i}", "parameters": large}}
            for i in range(9)
        ]
        found, _ = asked(user("Hi"), tools=tools, limit=4096)
        shown = schema.tools(found.tools)
        assert [tool["name"] for tool in shown] == [f"f{i}" for i in range(9)]
        assert all("parameters" not in tool for tool in shown)
        assert {tool["parameters_bytes"] for tool in shown} == {5034}

    def test_of_very_many_the_first_and_the_last_stay(self) -> None:
        tools = [{"type": "function", "function": {"name": f"f{i}"}} for i in range(1000)]
        found, _ = asked(user("Hi"), tools=tools, limit=2000)
        assert found.tools is not None
        assert len(found.tools) <= 2000
        first, gap, *last = schema.tools(found.tools)
        assert (first["name"], last[-1]["name"]) == ("f0", "f999")
        assert gap == {"type": "omitted", "name": f"{1000 - 1 - len(last)} tools"}


class TestMedia:
    def test_bytes_are_never_shown(self) -> None:
        content = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"type": "image_url", "image_url": {"url": f"DATA:;base64,{PNG}"}},
            {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
            {"type": "file", "file": {"file_data": PNG, "filename": "a.pdf"}},
            {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}"}},
            {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{PNG}"}},
        ]
        shown = parts(content)
        blob = {"type": "blob", "content": "", "size": 1000}
        assert shown == [
            {**blob, "modality": "image", "mime_type": "image/png"},
            {**blob, "modality": "image"},
            {**blob, "modality": "audio", "mime_type": "audio/wav"},
            {**blob, "modality": "document", "filename": "a.pdf"},
            {**blob, "modality": "document", "mime_type": "application/pdf"},
            {**blob, "modality": "video", "mime_type": "video/mp4"},
        ]
        assert PNG[:40] not in json.dumps(shown)

    def test_of_addresses_neither_query_nor_user_is_shown(self) -> None:
        signed = "https://ann:p@ss@files.example/a/b.png?X-Sig=abc&e=1#frag"
        content = [
            {"type": "image_url", "image_url": {"url": signed}},
            {"type": "file", "file": {"file_url": "gs://bucket/object.pdf"}},
            {"type": "file", "file": {"file_data": "https://h/x.pdf#page=2"}},
            {"type": "input_audio", "input_audio": {"data": "https://h/a.mp3", "format": "mp3"}},
        ]
        shown = parts(content)
        assert [part["uri"] for part in shown] == [
            f"https://files.example/a/b.png?{REDACTED}",
            "gs://bucket/object.pdf",
            "https://h/x.pdf",
            "https://h/a.mp3",
        ]
        assert shown[3]["mime_type"] == "audio/mp3"

    def test_files_by_id_and_parts_that_nobody_knows(self) -> None:
        content = [
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "future_part", "future_part": "what it holds", "more": [1]},
            {"type": "image_url", "image_url": {"url": "no address at all"}},
        ]
        assert parts(content) == [
            {"type": "file", "modality": "document", "file_id": "file-1"},
            {"type": "future_part"},
            {"type": "blob", "modality": "image", "content": "", "size": 12},
        ]


class TestAnswers:
    def test_what_was_thought_said_and_called(self) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        message = {"content": "Hi", "reasoning_content": "Hm", "tool_calls": [call]}
        (said,) = answered(choice(message, "tool_calls"))
        assert said == {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm"},
                {"type": "text", "content": "Hi"},
                {"type": "tool_call", "name": "f", "id": "c", "arguments": {}},
            ],
            "finish_reason": "tool_call",
        }

    @pytest.mark.parametrize(
        ("reason", "word"),
        [
            *(("stop", "stop"), ("length", "length"), ("content_filter", "content_filter")),
            *(("tool_calls", "tool_call"), ("function_call", "tool_call"), (None, "error")),
        ],
    )
    def test_finish_reasons_in_the_words_of_the_conventions(
        self, reason: str | None, word: str
    ) -> None:
        assert answered(choice({"content": "x"}, reason))[0]["finish_reason"] == word

    def test_several_choices_and_rarer_forms(self) -> None:
        audio = {"id": "a", "data": PNG, "transcript": "Hello", "expires_at": 1}
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        said = answered(
            choice({"content": None, "refusal": "No."}),
            choice({"content": None, "audio": audio, "images": [image]}),
            choice({"content": [{"type": "text", "text": "A"}, {"type": "future_part"}, 3][:2]}),
            choice({"content": None, "function_call": {"name": "f", "arguments": "{"}}),
        )
        assert [one["parts"] for one in said] == [
            [{"type": "refusal", "content": "No."}],
            [
                {
                    "type": "blob",
                    "modality": "audio",
                    "content": "",
                    "size": 1000,
                    "transcript": "Hello",
                },
                {
                    "type": "blob",
                    "modality": "image",
                    "content": "",
                    "size": 1000,
                    "mime_type": "image/png",
                },
            ],
            [{"type": "text", "content": "A"}, {"type": "future_part"}],
            [{"type": "tool_call", "name": "f", "arguments": "{"}],
        ]
        assert PNG[:40] not in json.dumps(said)

    def test_a_text_of_which_only_the_beginning_is_there(self) -> None:
        (said,) = answered(choice({"content": Head("Hello", 70_000)}, None))
        assert said["parts"][0]["content"].endswith("… [cut: 70000 characters]")
        (said,) = answered(choice({"content": Head("", 5), "reasoning_content": Head("", 0)}))
        assert said["parts"] == [{"type": "text", "content": "… [cut: 5 characters]"}]


class TestLimits:
    def test_a_long_text_is_cut_and_its_length_said(self) -> None:
        (part,) = parts("abc " * 50_000)
        assert part["content"].endswith("… [cut: 200000 characters]")
        # Most of the room is used.
        assert len(part["content"]) > LIMIT * 0.9

    def test_texts_are_cut_before_messages_are_left_out(self) -> None:
        _, said = asked(*(user(f"{i} " + "x" * 3000) for i in range(14)), limit=16 * 1024)
        texts = [message["parts"][0]["content"] for message in said]
        assert [text.split()[0] for text in texts] == [str(i) for i in range(14)]
        assert all("… [cut: 300" in text for text in texts)

    def test_then_the_oldest_in_the_middle_are_left_out_and_counted(self) -> None:
        _, said = asked(*(user(f"{i} " + "x" * 3000) for i in range(500)), limit=16 * 1024)
        first, gap, *last = said
        assert first["parts"][0]["content"].startswith("0 ")
        assert last[-1]["parts"][0]["content"].startswith("499 ")
        assert len(last) > 10
        missing = 500 - 1 - len(last)
        assert gap == {"role": "omitted", "parts": [{"type": "omitted", "messages": missing}]}
        numbers = [int(message["parts"][0]["content"].split()[0]) for message in last]
        assert numbers == list(range(500 - len(last), 500))

    def test_of_very_many_messages_few_are_looked_at(self, monkeypatch: Any) -> None:
        chat = request(*(user("x" * 100) for _ in range(20_000)))
        seen = 0
        write = Writer._message  # pyright: ignore[reportPrivateUsage]

        def counted(self: Writer, message: Any) -> Any:
            nonlocal seen
            seen += 1
            return write(self, message)

        monkeypatch.setattr(Writer, "_message", counted)
        Writer(Redactor(), 10_000).asked(chat, instructions_apart=False)
        assert 50 < seen < 200

    def test_of_very_long_texts_little_is_read(self, monkeypatch: Any) -> None:
        read = 0
        text_of = Redactor.text

        def counted(self: Redactor, text: str) -> str:
            nonlocal read
            read += len(text)
            return text_of(self, text)

        monkeypatch.setattr(Redactor, "text", counted)
        huge = [{"type": "text", "text": "x" * 100_000} for _ in range(100)]
        found, _ = asked(user(huge), user(huge), limit=10_000)
        assert read < 10 * 20_000
        assert found.messages.count("[cut: 100000 characters]") > 10

    def test_of_very_many_parts_the_first_and_the_last_are_shown(self) -> None:
        many = [{"type": "text", "text": f"{i}"} for i in range(1000)]
        shown = parts(many)
        assert len(shown) == MOST_PARTS + 1
        assert (shown[0]["content"], shown[-1]["content"]) == ("0", "999")
        assert shown[MOST_PARTS // 2] == {"type": "omitted", "parts": 1000 - MOST_PARTS}
        _, (message,) = asked(user(many), limit=2000)
        gap = [part for part in message["parts"] if part["type"] == "omitted"]
        assert len(message["parts"]) > 10
        assert gap

    def test_large_arguments_are_a_cut_text(self) -> None:
        arguments = json.dumps({"rows": [[i, "x"] for i in range(4000)]})
        function = {"name": "f", "arguments": arguments}
        call = {"id": "c", "type": "function", "function": function}
        _, found = asked({"role": "assistant", "tool_calls": [call]}, limit=4096)
        shown = found[0]["parts"][0]["arguments"]
        assert shown.startswith('{"rows": [[0, "x"], [1, "x"]')
        assert shown.endswith("… [cut: 50900 characters]")
        function["arguments"] = json.dumps({"rows": [[i, "x"] for i in range(700)]})
        _, found = asked({"role": "assistant", "tool_calls": [call]}, limit=4096)
        # It could be read, and is redacted as JSON, but is too large to be shown as such.
        shown = found[0]["parts"][0]["arguments"]
        assert shown.startswith('{"rows":[[0,"x"],[1,"x"]')
        assert "[cut: " in shown

    @pytest.mark.parametrize("limit", [2, 5, 30, 64, 99, 128, 200, 500, 1023])
    def test_a_limit_below_all_reason_still_gives_json(self, limit: int) -> None:
        asked(*(user(f'"{i}"\n' * 300) for i in range(30)), limit=limit)
        answered(choice({"content": "x" * 5000}), choice({"content": "y"}), limit=limit)

    @pytest.mark.parametrize("text", ["\x01" * 50_000, "\U0001f600" * 50_000, '"\\' * 50_000])
    def test_characters_that_take_more_room_than_one(self, text: str) -> None:
        (part,) = parts(text)
        assert "[cut: " in part["content"]
        assert len(json.dumps(part, ensure_ascii=False).encode()) > LIMIT * 0.8


def any_json() -> st.SearchStrategy[Any]:
    leaves: st.SearchStrategy[Any] = st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False)),
        st.text(max_size=40),
    )

    def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5)

    return st.recursive(leaves, grown, max_leaves=20)


WORDS = st.text(max_size=300) | st.text('ab \n"\\', min_size=500, max_size=3000)


@st.composite
def content_parts(draw: st.DrawFn) -> Json:
    text = draw(WORDS)
    forms: list[Json] = [
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": f"https://h/{text}"}},
        {"type": "file", "file": {"file_id": text}},
    ]
    return draw(st.sampled_from(forms))


@st.composite
def calls(draw: st.DrawFn) -> Json:
    arguments = draw(WORDS | any_json().map(json.dumps))
    function = {"name": draw(WORDS), "arguments": arguments}
    return {"id": "c", "type": "function", "function": function}


@st.composite
def conversations(draw: st.DrawFn) -> list[Json]:
    said: list[Json] = []
    for role in draw(
        st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), max_size=11)
    ):
        message: Json = {"role": role, "content": draw(WORDS)}
        if role == "user" and draw(st.booleans()):
            message["content"] = draw(st.lists(content_parts(), min_size=1, max_size=8))
        if role == "assistant":
            message["tool_calls"] = draw(st.lists(calls(), min_size=1, max_size=4))
        if role == "tool":
            message["tool_call_id"] = "c"
        said.append(message)
    return [*said, user(draw(WORDS))]


class TestProperties:
    @settings(max_examples=150, deadline=None)
    @given(conversations(), st.integers(2, 6000), st.booleans())
    def test_it_is_always_json_as_the_conventions_have_it_and_within_the_limit(
        self, said: list[Json], limit: int, apart: bool
    ) -> None:
        found, shown = asked(*said, limit=limit, apart=apart)
        for data in (found.instructions, found.tools):
            assert data is None or len(data.encode()) <= limit
        if found.instructions is not None:
            schema.instructions(found.instructions)
        opening = 0
        while apart and opening < len(said) and said[opening]["role"] == "system":
            opening += 1
        # Whatever is not there is counted, but where there is no room even for that.
        gaps = [part["messages"] for m in shown for part in m["parts"] if "messages" in part]
        whole = len(shown) - len(gaps) + sum(gaps)
        assert whole == len(said) - opening or (shown == [] and limit < 100)

    @settings(max_examples=100, deadline=None)
    @given(
        st.sampled_from([*sorted(SHAPED.values()), *KNOWN]),
        st.integers(1, 6),
        st.integers(400, 4000),
        st.data(),
    )
    def test_a_planted_secret_is_nowhere(
        self, secret: str, copies: int, limit: int, data: st.DataObject
    ) -> None:
        filler = st.text("abc \n", max_size=1500)

        def planted() -> str:
            before, after = data.draw(filler), data.draw(filler)
            return f"{before} {secret} {after}"

        call = {"name": planted(), "arguments": json.dumps({planted(): [planted()]})}
        schema_of_tool: Json = {"description": planted(), "properties": {planted(): {}}}
        said: list[Json] = [
            {"role": "system", "content": planted()},
            *(user([{"type": "text", "text": planted()}] * copies) for _ in range(copies)),
            {**user([{"type": "image_url", "image_url": {"url": f"https://h/{secret}"}}])},
            {**user("x"), "name": planted()},
            {
                "role": "assistant",
                "content": planted(),
                "refusal": planted(),
                "reasoning_content": planted(),
                "tool_calls": [{"id": planted(), "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": planted(), "content": json.dumps([planted()])},
        ]
        tools: list[Json] = [
            {"type": "function", "function": {"name": planted(), "parameters": schema_of_tool}},
            {"type": "custom", "custom": {"name": "n", "description": planted()}},
        ]
        writer = Writer(Redactor(KNOWN), limit)
        found = writer.asked(
            request(*said, tools=tools), instructions_apart=data.draw(st.booleans())
        )
        answer = writer.answered([choice(said[-2], secret)])
        for shown in (found.messages, found.instructions, found.tools, answer):
            assert shown is None or (secret not in shown and secret[4:14] not in shown)
            assert shown is None or json.dumps(secret[4:])[1:9] not in shown
