"""The form of the answer, strict tools, the server's search, citations, media by address."""

from typing import Any

import pytest
from messages_api import TRANSLATOR, WEATHER, body_of, deltas_of, rejection, sse_of, translate
from native_events import closed, finished, grown, opened, start, text, thinking, tool
from native_schema import problems_of

from tests.translators.chat_requests import calls, request_of, result, user
from tests.translators.streams import CONTEXT, Json, events_of, folded
from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.errors import ProviderError, StreamTruncated
from translators.json_contract import instruction
from translators.protocol import HttpRequest, JsonContract

OLDEST, OLD, NEW = "claude-3-5-haiku-latest", "claude-haiku-4-5", "claude-opus-5-5"
SCHEMA: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
FREE: Json = {"type": "object", "additionalProperties": {"type": "string"}}
BOUNDED: Json = {**SCHEMA, "properties": {"a": {"type": "integer", "minimum": 3}}}


def form(schema: Json | None, **fields: Any) -> Json:
    told = {} if schema is None else {"schema": schema}
    return {"type": "json_schema", "json_schema": {"name": "n", **told, **fields}}


# --- the form of the answer --------------------------------------------------------------------


@pytest.mark.parametrize("model", [OLD, NEW])
def test_rows_44_45_schema_is_enforced(model: str):
    translated = translate(model, response_format=form(SCHEMA, description="D", strict=True))
    native = translated.request.body["output_config"]["format"]
    assert native == {
        "type": "json_schema",
        "schema": {**SCHEMA, "title": "n", "description": "D"},
    }
    assert problems_of(translated.request.body) == []
    assert translated.contract is None
    assert translated.report.emulated == translated.report.ignored == ()


def test_schema_stands_beside_an_effort():
    body = body_of(NEW, response_format=form(SCHEMA), reasoning_effort="low")
    assert body["output_config"].keys() == {"effort", "format"}


@pytest.mark.parametrize("strict", [True, False])
def test_bound_that_is_only_told_is_checked_where_the_schema_is_strict(strict: bool):
    translated = translate(response_format=form(BOUNDED, strict=strict))
    schema = translated.request.body["output_config"]["format"]["schema"]
    assert '{"minimum":3}' in schema["properties"]["a"]["description"]
    assert translated.contract == (JsonContract(BOUNDED) if strict else None)
    assert translated.report.emulated == ("response_format.json_schema.schema",)


@pytest.mark.parametrize(
    ("model", "response_format", "contract", "fields"),
    [
        (NEW, {"type": "json_object"}, JsonContract(), {}),
        (NEW, form(None), JsonContract(), {}),
        (NEW, form(FREE), JsonContract(FREE), {}),
        (OLDEST, form(SCHEMA), JsonContract(SCHEMA), {}),
        (NEW, form(SCHEMA), JsonContract(SCHEMA), {"web_search_options": {}}),
    ],
    ids=["object", "no schema", "free keys", "old model", "cited"],
)
def test_what_the_api_cannot_enforce_is_asked_for_and_checked(
    model: str, response_format: Json, contract: JsonContract, fields: Json
):
    messages = [{"role": "system", "content": "s"}, user("x")]
    translated = translate(model, messages=messages, response_format=response_format, **fields)
    assert translated.contract == contract
    assert "format" not in translated.request.body.get("output_config", {})
    # In the system prompt, where it is the same at every turn.
    assert [block["text"] for block in translated.request.body["system"]] == [
        "s",
        instruction(contract),
    ]
    assert "response_format" in translated.report.emulated
    assert translated.report.ignored == ()


def test_schema_with_too_many_options_is_asked_for():
    many = {"properties": {f"p{i}": {"type": "string"} for i in range(25)}}
    assert translate(response_format=form(many)).contract == JsonContract(many)


@pytest.mark.parametrize(
    ("response_format", "param"),
    [
        ({"type": "json_schema"}, "response_format.json_schema"),
        (form({"$ref": "#/$defs/no"}), "response_format.json_schema.schema"),
    ],
)
def test_form_that_is_none_is_rejected(response_format: Json, param: str):
    assert rejection(response_format=response_format).param == param


def test_begun_answer_has_no_form():
    messages = [user("x"), {"role": "assistant", "content": "{"}]
    error = rejection(OLD, messages=messages, response_format={"type": "json_object"})
    assert error.param == "response_format"


# --- strict tools ------------------------------------------------------------------------------


def function(parameters: Json, *, strict: bool = True, name: str = "f") -> Json:
    definition = {"name": name, "parameters": parameters, "strict": strict}
    return {"type": "function", "function": definition}


def test_strict_tool_is_strict():
    translated = translate(tools=[function(SCHEMA)])
    assert translated.request.body["tools"] == [
        {"name": "f", "input_schema": SCHEMA, "strict": True}
    ]
    assert translated.report.emulated == translated.report.ignored == ()
    assert translate(tools=[function(BOUNDED)]).report.emulated == ("tools[].function.parameters",)


@pytest.mark.parametrize(
    ("model", "parameters"), [(OLD, FREE), (OLDEST, SCHEMA)], ids=["free keys", "old model"]
)
def test_tool_that_cannot_be_strict_is_offered_and_reported(model: str, parameters: Json):
    translated = translate(model, tools=[function(parameters)])
    assert translated.request.body["tools"] == [{"name": "f", "input_schema": parameters}]
    assert translated.report.ignored == ("tools[].function.strict",)


def test_strict_tools_share_what_is_possible():
    many = {"properties": {f"p{i}": {"type": "string"} for i in range(20)}}
    translated = translate(tools=[function(many), function(many, name="g")])
    assert [tool.get("strict") for tool in translated.request.body["tools"]] == [True, None]
    assert translated.report.ignored == ("tools[].function.strict",)


def test_union_at_the_root_of_a_tool_is_told():
    union: Json = {"anyOf": [SCHEMA, {"type": "object", "properties": {"b": {}}}]}
    translated = translate(tools=[function(union, strict=False)])
    schema = translated.request.body["tools"][0]["input_schema"]
    assert sorted(schema["properties"]) == ["a", "b"] and "anyOf" not in schema
    assert translated.report.emulated == ("tools[].function.parameters",)
    error = rejection(tools=[function({"type": "string"}, strict=False)])
    assert error.param == "tools[0].function.parameters"


# --- the server's search -----------------------------------------------------------------------


@pytest.mark.parametrize(("size", "uses"), [(None, 5), ("low", 1), ("medium", 5), ("high", 10)])
def test_size_of_the_search_is_how_often(size: str | None, uses: int):
    options = {} if size is None else {"search_context_size": size}
    translated = translate(web_search_options=options)
    assert translated.request.body["tools"][0]["max_uses"] == uses
    assert translated.report.emulated == ("web_search_options",)


def test_search_beside_tools_and_the_calls_of_earlier_turns():
    body = body_of(tools=[WEATHER], web_search_options={}, parallel_tool_calls=False)
    assert [tool["name"] for tool in body["tools"]] == ["get_weather", "web_search"]
    messages = [user("x"), calls("a"), result("a"), user("y")]
    body = body_of(messages=messages, web_search_options={})
    # The search is a tool, so no stub is needed, and it may be used.
    assert [tool["name"] for tool in body["tools"]] == ["web_search"]
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (OLD, {"tools": [function({}, name="web_search")]}, "tools"),
        ("deepseek-v4", {}, "web_search_options"),
        (
            OLD,
            {"web_search_options": {"search_context_size": "vast"}},
            "web_search_options.search_context_size",
        ),
        (
            OLD,
            {"web_search_options": {"user_location": {"approximate": {"city": 7}}}},
            "web_search_options.user_location",
        ),
    ],
)
def test_search_that_cannot_be_is_rejected(model: str, fields: Json, param: str):
    assert rejection(model, **{"web_search_options": {}, **fields}).param == param


def test_unknown_option_of_the_search_is_reported():
    place = {"type": "approximate", "approximate": {"city": "Oslo", "street": "x"}}
    translated = translate(web_search_options={"user_location": place, "depth": 3})
    assert translated.report.ignored == (
        "web_search_options.depth",
        "web_search_options.user_location.street",
    )


@pytest.mark.parametrize("pauses", [True, False])
def test_request_is_kept_only_where_the_answer_may_pause(pauses: bool):
    own: Json = {"name": "f", "input_schema": {"type": "object"}}
    tools = [own, {"type": "web_search_20260318", "name": "web_search"}] if pauses else [own]
    asked = {"role": "user", "content": "x"}
    request = HttpRequest("/v1/messages", {"messages": [asked], "tools": tools}, {"a": "b"})
    stream = TRANSLATOR.stream(CONTEXT, request)
    for event in events_of(sse_of([start(), *text(0, "x"), *finished("pause_turn")])):
        stream.feed(event)
    assert bool(stream.end()) is not pauses
    assert stream.complete is not pauses
    following = stream.follow_up
    assert (following is not None) is pauses
    if following is not None:
        said = {"role": "assistant", "content": [{"type": "text", "text": "x"}]}
        assert following.body == {**request.body, "messages": [asked, said]}
        assert following.headers == request.headers
        assert request.body["messages"] == [asked]


def test_paused_stream_goes_on_as_one_answer():
    """The blocks go back as they were; numbers start anew, and counts are added up."""
    cited: Json = {"type": "web_search_result_location", "url": "https://a", "title": "A"}
    result_block: Json = {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [],
    }
    search: Json = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
    first = [
        start(),
        *thinking(0, "Hm", "m"),
        opened(1, **search, input={}),
        grown(1, type="input_json_delta", partial_json='{"query":'),
        grown(1, type="input_json_delta", partial_json='"x"}'),
        closed(1),
        opened(2, **result_block),
        closed(2),
        opened(3, type="text", text="", citations=[]),
        grown(3, type="citations_delta", citation=cited),
        grown(3, type="text_delta", text="So"),
        closed(3),
        *tool(4, "toolu_a", "f", "{}"),
        *finished("pause_turn"),
    ]
    asked: Json = {"role": "user", "content": "x"}
    tools = [{"type": "web_search_20260318", "name": "web_search"}]
    request = HttpRequest("/v1/messages", {"messages": [asked], "tools": tools})
    stream = TRANSLATOR.stream(CONTEXT, request)
    chunks = [chunk for event in events_of(sse_of(first)) for chunk in stream.feed(event)]
    assert stream.end() == []
    assert stream.follow_up is not None
    assert stream.follow_up.body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hmm", "signature": "c2ln"},
        {**search, "input": {"query": "x"}},
        result_block,
        {"type": "text", "text": "So", "citations": [cited]},
        {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {}},
    ]
    rest = [start(), *text(0, "on"), *tool(4, "toolu_b", "f", "{}"), *finished("tool_use")]
    chunks += [chunk for event in events_of(sse_of(rest)) for chunk in stream.feed(event)]
    chunks += stream.end()
    assert stream.follow_up is None
    answer = folded(chunks)
    message = answer["choices"][0]["message"]
    assert message["content"] == "Soon"
    assert [call["id"] for call in message["tool_calls"]] == ["toolu_a", "toolu_b"]
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (24, 40)
    assert stream.outcome.usage is not None and stream.outcome.usage.total_tokens == 64
    assert sum(b'"role"' in chunk.data for chunk in chunks) == 1


def test_rest_that_never_comes_is_no_answer():
    tools = [{"type": "web_search_20260318", "name": "web_search"}]
    request = HttpRequest("/v1/messages", {"messages": [user("x")], "tools": tools})
    stream = TRANSLATOR.stream(CONTEXT, request)
    for event in events_of(sse_of([start(), *text(0, "x"), *finished("pause_turn")])):
        stream.feed(event)
    assert stream.end() == []
    with pytest.raises(StreamTruncated):
        stream.end()
    broken = [start(), opened(0, type="server_tool_use", id="s", name="web_search", input={})]
    cut = grown(0, type="input_json_delta", partial_json='{"q')
    stream = TRANSLATOR.stream(CONTEXT, request)
    for event in events_of(sse_of([*broken, cut, closed(0), *finished("pause_turn")])):
        stream.feed(event)
    with pytest.raises(ProviderError, match="not JSON"):
        stream.end()


# --- citations ---------------------------------------------------------------------------------


def test_citations_have_the_span_of_their_text():
    web = {"type": "web_search_result_location", "url": "https://a", "title": "A"}
    own = {"type": "search_result_location", "source": "https://b", "title": None}
    page = {"type": "page_location", "cited_text": "x", "document_index": 0}
    events = [
        start(),
        *text(0, "ø🎉 "),
        opened(1, type="text", text="", citations=[]),
        grown(1, type="citations_delta", citation=web),
        grown(1, type="text_delta", text="said"),
        grown(1, type="citations_delta", citation=page),
        closed(1),
        opened(2, type="text", text="so"),
        grown(2, type="citations_delta", citation=own),
        closed(2),
        *finished(),
    ]
    deltas = deltas_of(events)
    annotations = [entry for delta in deltas for entry in delta.get("annotations", ())]
    assert [entry["index"] for entry in annotations] == [0, 1]
    assert [entry["url_citation"] for entry in annotations] == [
        {"start_index": 3, "end_index": 7, "title": "A", "url": "https://a"},
        {"start_index": 7, "end_index": 9, "title": "", "url": "https://b"},
    ]
    citations = [entry for delta in deltas for entry in delta.get("citations", ())]
    assert citations == [{"index": 0, "start_index": 3, "end_index": 7, "citation": page}]


def test_citations_on_a_users_text_are_reported():
    """They are a 400 since 2026-10-21."""
    part = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
    translated = translate(messages=[user([part])])
    assert translated.request.body["messages"][0]["content"] == [{"type": "text", "text": "x"}]
    assert translated.report.ignored == ("messages[].content[].citations",)


# --- media by address --------------------------------------------------------------------------


def test_row_49_only_what_the_api_does_not_fetch_is_to_be_fetched():
    image = [{"type": "image_url", "image_url": {"url": f"{s}://x/a"}} for s in ("https", "http")]
    names = ("a.pdf", "A.PDF?x=1", "a.txt")
    files = [{"type": "file", "file": {"file_data": f"https://x/{name}"}} for name in names]
    later = {"type": "file", "file": {"file_url": "https://x/b.csv"}}
    chat = request_of(messages=[user([*image, *files, later])])
    assert TRANSLATOR.media_to_fetch(chat) == ["http://x/a", "https://x/a.txt", "https://x/b.csv"]


def test_document_by_its_own_field():
    part = {"type": "file", "file": {"file_url": "https://x/a.pdf", "filename": "a"}}
    (turn,) = body_of(messages=[user([part])])["messages"]
    assert turn["content"] == [
        {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}, "title": "a"}
    ]


# --- marks of the cache, profiles --------------------------------------------------------------


def test_lasting_mark_of_the_request_makes_the_earlier_ones_last():
    messages = [{**user("x"), "cache_control": {"type": "ephemeral"}}, user("y")]
    translated = translate(messages=messages, prompt_cache_retention="24h")
    body = translated.request.body
    assert body["messages"][0]["content"][0]["cache_control"]["ttl"] == "1h"
    assert "cache_control" in translated.report.emulated


def test_four_marks_are_kept_the_last_ones():
    messages = [{**user(str(i)), "cache_control": {"type": "ephemeral"}} for i in range(5)]
    translated = translate(messages=messages, prompt_cache_options={"mode": "implicit"})
    body = translated.request.body
    marked = ["cache_control" in block for block in body["messages"][0]["content"]]
    assert marked == [False, False, True, True, True] and "cache_control" in body
    assert translated.report.ignored == ("cache_control",)


def test_profiles_may_come_from_elsewhere():
    known = TRANSLATOR.profiles(OLDEST)
    translator = AnthropicMessagesTranslator(profiles=lambda _: known)
    assert translator.request(request_of(), model=NEW).request.body["max_tokens"] == 8192
