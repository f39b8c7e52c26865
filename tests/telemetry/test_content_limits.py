"""Captured content within a limit: always JSON, always as the conventions have it."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.telemetry.content.messages import MOST_PARTS, Writer
from proxy.telemetry.content.redaction import Redactor
from tests.telemetry import genai_schema as schema
from tests.telemetry.contents import LIMIT, Json, answered, asked, choice, parts, request, user
from tests.telemetry.secrets_of_tests import KNOWN, SHAPED


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
    @example([{"role": "tool", "content": "", "tool_call_id": "c"}, user(""), user("")], 200, False)
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
