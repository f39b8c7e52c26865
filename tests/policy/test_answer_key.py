"""Which requests are the same, which must have a new answer, and what the policy says of both."""

import json
from typing import Any

import pytest

from policy.answer_key import answer_key, persona_version, why_not_kept
from policy.build import CapabilityTable, build
from policy.decision import Decision, decide
from policy.document import parse
from policy.errors import PolicyError
from policy.model_choice import with_model
from policy.schema import Policy
from tests.policy.building import SHIPPED
from translators.wire.request import ChatCompletionRequest, parse_request

Json = dict[str, Any]

PNG = "data:image/png;base64,iVBORw0KGgo="


def policy(personas: str = "{provider_preferences: [openai], cache: {ttl: 60}}") -> Policy:
    rows, _, _ = SHIPPED.partition("personas:")
    text = rows + f"personas:\n  p: {personas}\n"
    return build(parse(text, "my.yaml"), capabilities=CapabilityTable(), read_prompt=str)


def chat(**fields: Any) -> ChatCompletionRequest:
    body = {"model": "p", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return parse_request(json.dumps(body).encode())


def key(chat: ChatCompletionRequest, tenant: str = "me", version: bytes = b"1") -> str | None:
    return answer_key(chat, tenant=tenant, version=version)


def of(text: str) -> str | None:
    return key(parse_request(text.encode()))


class TestKey:
    def test_it_says_nothing_and_has_one_length(self) -> None:
        found = key(chat(user="secret-user"))
        assert found is not None
        assert len(found) == 64
        assert "secret" not in found
        assert key(chat(user="secret-user")) == found

    def test_whether_two_ids_of_a_user_are_one_counts(self) -> None:
        """Some providers take one of them, and report the other where it says something else."""
        one = key(chat(user="u1", safety_identifier="u1"))
        other = key(chat(user="u1", safety_identifier="u2"))
        assert one != other
        assert one == key(chat(user="u3", safety_identifier="u3"))

    def test_white_space_and_the_order_of_openais_keys_do_not_count(self) -> None:
        one = '{"model":"p","seed":1,"messages":[{"role":"user","content":[{"type":"text",'
        one += '"text":"ä"}]}],"x":1,"a":2}'
        other = '{ "a": 2, "x": 1, "messages": [ {"content": [ {"text": "\\u00e4", "type": "text"'
        other += ' } ], "role": "user"} ], "seed": 1,\n "model": "p" }'
        assert of(one) == of(other) != of(one.replace("ä", "a"))

    def test_numbers_count_by_their_value_where_the_field_is_known(self) -> None:
        assert key(chat(temperature=1)) == key(chat(temperature=1.0))
        assert key(chat(temperature=1)) != key(chat(temperature=0.5))
        assert key(chat(temperature=1)) != key(chat())
        # Who knows what an unknown one means.
        assert key(chat(x=1)) != key(chat(x=1.0)) != key(chat(x=True))

    @pytest.mark.parametrize(
        "fields",
        [
            {"stream": True},
            {"stream": False},
            {"stream": True, "stream_options": {"include_usage": True}},
            {"stream_options": {}},
            {"seed": None, "tools": None},
        ],
    )
    def test_how_an_answer_is_sent_does_not_count(self, fields: Json) -> None:
        assert key(chat(**fields)) == key(chat())

    @pytest.mark.parametrize(
        "fields",
        [
            {"seed": 1},
            {"unknown": 1},
            {"unknown": None},
            {"stream_options": {"include_obfuscation": False}},
            {"stream_options": {"other": 1}},
            {"max_tokens": 5},
            {"service_tier": "flex"},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            {"messages": [{"role": "user", "content": "Hi "}]},
            {"messages": [{"role": "user", "content": "Hi", "name": "me"}]},
            {"messages": [{"role": "developer", "content": "Hi"}]},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        ],
    )
    def test_all_else_counts(self, fields: Json) -> None:
        assert key(chat(**fields)) != key(chat())

    @pytest.mark.parametrize("name", ["user", "safety_identifier", "prompt_cache_key"])
    def test_of_the_callers_books_only_counts_whether_they_are_there(self, name: str) -> None:
        assert key(chat(**{name: "a"})) == key(chat(**{name: "b"})) != key(chat())

    def test_metadata_are_such_books(self) -> None:
        assert key(chat(metadata={"a": "1"})) == key(chat(metadata={"b": "2", "c": "3"}))
        assert key(chat(metadata={"a": "1"})) != key(chat(metadata={}))

    def test_the_order_of_a_schemas_properties_counts(self) -> None:
        def schema(*names: str) -> Json:
            properties = {name: {"type": "string"} for name in names}
            schema = {"type": "object", "properties": properties}
            return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

        one = key(chat(response_format=schema("thought", "answer")))
        assert one == key(chat(response_format=schema("thought", "answer")))
        assert one != key(chat(response_format=schema("answer", "thought")))

    def test_tenant_and_version_count_and_do_not_run_together(self) -> None:
        keys = {key(chat(), tenant, v) for tenant in ("a", "ab", "") for v in (b"", b"b", b"ab")}
        assert len(keys) == 9

    def test_the_last_of_several_equal_keys_counts_as_it_does_for_the_model(self) -> None:
        body = '{"model":"p","messages":[{"role":"user","content":"Hi"}],"seed":1,"seed":2}'
        assert of(body) == key(chat(seed=2)) != key(chat(seed=1))

    def test_numbers_beyond_all_bounds_are_not_confused(self) -> None:
        body = '{"model":"p","messages":[{"role":"user","content":"Hi"}],"x":%s}'
        found = {of(body % number) for number in ("1e999", "-1e999", "null", "0", "1e308")}
        assert len(found) == 5
        assert None not in found
        assert of(body % ("9" * 40)) is None

    def test_deep_json_has_a_key_or_none_and_harms_nobody(self) -> None:
        body = '{"model":"p","messages":[{"role":"user","content":"Hi"}],"x":%s}'
        deep = of(body % ("[" * 150 + "]" * 150))
        assert deep is not None
        assert deep != of(body % ("[" * 149 + "]" * 149))
        # Deeper than the parser lets through: made in code.
        value: Any = []
        for _ in range(5_000):
            value = [value]
        assert key(chat().model_copy(update={"prediction": {"x": value}})) is None


def why(fields: Json, text: str = "{provider_preferences: [openai], cache: {ttl: 60}}") -> Any:
    found, request = policy(text), chat(**fields)
    # What it would need of a provider does not matter here.
    decision = Decision("p", (found.candidate("openai").target,), "")
    return why_not_kept(request, decision, found)


def part(**fields: Any) -> Json:
    return {"messages": [{"role": "user", "content": [fields]}]}


class TestNewAnswers:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"n": 1, "store": False, "temperature": 2},
            {"modalities": ["text"]},
            {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
            part(type="text", text="see https://x"),
            part(type="image_url", image_url={"url": PNG}),
            part(type="input_audio", input_audio={"data": "UklGRg==", "format": "wav"}),
            part(
                type="file",
                file={"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a"},
            ),
            {"messages": [{"role": "assistant", "content": None, "refusal": "no"}]},
        ],
    )
    def test_an_earlier_one_will_do(self, fields: Json) -> None:
        assert why(fields) is None

    @pytest.mark.parametrize(
        ("word", "fields"),
        [
            ("choices", {"n": 2}),
            ("store", {"store": True}),
            ("web_search", {"web_search_options": {}}),
            ("audio", {"audio": {"voice": "alloy", "format": "wav"}}),
            ("audio", {"modalities": ["text", "audio"]}),
            ("provider_tools", {"tools": [{"type": "web_search_20250305"}]}),
            ("media_by_address", part(type="image_url", image_url={"url": "https://x/a.png"})),
            ("media_by_address", part(type="image_url", image_url={"url": "gs://x/a.png"})),
            ("media_by_address", part(type="file", file={"file_id": "file-1"})),
            ("media_by_address", part(type="file", file={"file_data": "https://x/a.pdf"})),
            ("media_by_address", part(type="file", file={"file_data": PNG, "file_url": "x"})),
            ("media_by_address", part(type="file", file={})),
            (
                "media_by_address",
                part(type="input_audio", input_audio={"data": "https://x", "format": "wav"}),
            ),
            ("media_by_address", part(type="video_url", video_url={"url": "https://x/a.mp4"})),
            (
                "media_by_address",
                {"messages": [{"role": "assistant", "content": "x", "audio": {"id": "a"}}]},
            ),
        ],
    )
    def test_a_new_one_is_needed(self, word: str, fields: Json) -> None:
        assert why(fields) == word

    def test_what_the_persona_sets_counts_too(self) -> None:
        text = "{provider_preferences: [openai], cache: {ttl: 60}, parameters: {n: 3}}"
        assert why({}, text) == "choices"
        assert why({"n": 1}, text) is None

    def test_a_request_that_may_go_to_an_agent_needs_one(self) -> None:
        rows = SHIPPED.replace("personas:", _AGENT + "default_provider: agent\npersonas:")
        text = rows.replace("[anthropic, openai]", "[openai]\n    cache: {ttl: 5}")
        found = build(parse(text, "my.yaml"), capabilities=CapabilityTable(), read_prompt=str)
        request = chat(model="architect")
        assert why_not_kept(request, decide(request, found, {}), found) == "agent"
        only = decide(request, found, {"agent": "it is away"})
        assert why_not_kept(request, only, found) is None


_AGENT = """\
  agent:
    dialect: claude_agent
    base_url: https://api.anthropic.com
    model: claude-sonnet-5
    agent: {tools: [Read]}
"""


def version(personas: str) -> bytes:
    return persona_version(policy(personas), "p")


class TestVersion:
    def test_what_people_read_and_the_time_do_not_count(self) -> None:
        plain = version("{provider_preferences: [openai], cache: {ttl: 60}}")
        same = "{provider_preferences: [openai], cache: {ttl: 5}, description: Other.}"
        assert version(same) == plain

    @pytest.mark.parametrize(
        "row",
        [
            "{provider_preferences: [anthropic]}",
            "{provider_preferences: [openai, anthropic]}",
            "{provider_preferences: [{provider: openai, model: gpt-5}]}",
            "{provider_preferences: [openai], system_prompt: Be brief.}",
            "{provider_preferences: [openai], parameters: {temperature: 0}}",
            "{provider_preferences: [openai], parameters: {temperature: 1}}",
        ],
    )
    def test_what_changes_answers_does(self, row: str) -> None:
        rows = [
            "{provider_preferences: [openai]}",
            "{provider_preferences: [openai], parameters: {seed: 1}}",
        ]
        assert version(row) not in {version(other) for other in rows}

    def test_so_do_the_providers_rows(self) -> None:
        one = policy()
        row = one.providers["openai"].model_copy(update={"base_url": "https://elsewhere/v1"})
        other = one.replace(providers={**one.providers, "openai": row})
        assert persona_version(one, "p") != persona_version(other, "p")
        last = one.replace(default_provider="anthropic")
        assert persona_version(one, "p") != persona_version(last, "p")

    def test_and_a_model_that_the_caller_chose(self) -> None:
        one = policy("{provider_preferences: [openai, {provider: openai, model: gpt-5}]}")
        chosen = {persona_version(with_model(one, "p", m), "p") for m in ("gpt-5", "gpt-5.2")}
        assert len(chosen | {persona_version(one, "p")}) == 3


class TestPolicy:
    def test_nothing_is_kept_unless_a_persona_asks(self) -> None:
        assert not policy("{provider_preferences: [openai]}").caches
        found = policy()
        assert found.caches
        assert found.personas["p"].cache is not None
        assert found.personas["p"].cache.ttl == 60

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("{ttl: 0}", "my.yaml:14: personas.p.cache.ttl: it must be greater than 0"),
            ("{ttl: -1}", "greater than 0"),
            ("{ttl: '60'}", "a valid number"),
            ("{ttl: .inf}", "ttl"),
            ("{}", "`ttl` is missing"),
            ("{ttls: 1, ttl: 1}", "unknown key `ttls`. Did you mean `ttl`?"),
            ("true", "personas.p.cache"),
        ],
    )
    def test_a_wrong_rule(self, row: str, said: str) -> None:
        with pytest.raises(PolicyError) as raised:
            policy(f"{{provider_preferences: [openai], cache: {row}}}")
        assert said in str(raised.value)

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("{max_entry: 1}", "unknown key `max_entry`. Did you mean `max_entries`?"),
            ("{max_entries: 0}", "response_cache.max_entries"),
            ("{max_bytes: 2048, max_answer_bytes: 4096}", "Lower it, or raise `max_bytes`."),
        ],
    )
    def test_wrong_bounds(self, row: str, said: str) -> None:
        with pytest.raises(PolicyError) as raised:
            build(
                parse(f"response_cache: {row}", "my.yaml"),
                capabilities=CapabilityTable(),
                read_prompt=str,
            )
        assert said in str(raised.value)
        assert "my.yaml:1" in str(raised.value)

    def test_agents_are_refused(self) -> None:
        rows = SHIPPED.replace("personas:", _AGENT + "personas:")
        text = rows.replace("[anthropic, openai]", "[openai, agent]\n    cache: {ttl: 5}")
        with pytest.raises(PolicyError) as raised:
            build(parse(text, "my.yaml"), capabilities=CapabilityTable(), read_prompt=str)
        assert "personas.architect.cache: `agent` is an agent" in str(raised.value)
        assert "Leave `cache` out" in str(raised.value)
