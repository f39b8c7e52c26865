"""Requests and answers as the GenAI conventions have them."""

import base64
import json
from typing import Any

import pytest

from proxy.telemetry.content.redaction import REDACTED, Head
from tests.telemetry import genai_schema as schema
from tests.telemetry.contents import Json, answered, asked, choice, parts, user

PNG = base64.b64encode(b"\x89PNG" + bytes(996)).decode()


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
