"""`/metrics` of a real server: exact counts for each thing that may become of a request."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.wire import (
    Connection,
    Upstream,
    body_of,
    chat,
    events_of,
    eventually,
    new_client,
    unique,
)
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.scrape import Counted, page, sample, samples
from tests.serving import Proxy, SandboxProcess, wait_until

Json = dict[str, Any]

CHAT = "/v1/chat/completions"
PICTURE = "data:image/png;base64,iVBORw0KGgo="
SAID = '[sandbox say="all is well"]'


def metrics_policy(providers: SandboxProcess) -> Json:
    policy = standard_policy(providers)
    rows, personas = policy["providers"], policy["personas"]
    rows["openai"]["prices"] = {
        "gpt-4.1": {"input": 2.0, "output": 8.0, "cache_read": 0.5, "cache_write": 3.0}
    }
    rows["blind"] = {**rows["openai"], "capabilities": ["system_prompts", "streaming"]}
    rows["keyless"] = {**rows["openai"], "api_key_env": "NO_SUCH_KEY"}
    personas["sees"] = {"provider_preferences": ["blind", "keyless", "openai"]}
    personas["sees_nothing"] = {"provider_preferences": ["blind"]}
    personas["kept"] = {"provider_preferences": ["openai"], "cache": {"ttl": 300}}
    return {**policy, "allow_direct_models": True}


@pytest.fixture(scope="module")
def server(providers: SandboxProcess) -> Iterator[Proxy]:
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=metrics_policy(providers)) as process:
        yield process


OPENAI = {"gen_ai_provider_name": "openai", "gen_ai_request_model": "gpt-4.1"}
ANTHROPIC = {"gen_ai_provider_name": "anthropic", "gen_ai_request_model": "claude-sonnet-4-6"}


def http(status: int, error: str = "") -> str:
    return sample(
        "http_server_request_duration_seconds_count",
        http_request_method="POST",
        http_route=CHAT,
        http_response_status_code=status,
        error_type=error,
    )


def request(persona: str, provider: str, end: str = "completed", *, stream: bool = False) -> str:
    return sample(
        "ep_request_duration_seconds_count",
        ep_persona=persona,
        ep_provider=provider,
        ep_end_reason=end,
        ep_stream=str(stream).lower(),
    )


def overhead(persona: str) -> str:
    return sample("ep_request_overhead_seconds_count", ep_persona=persona)


def asked(what: str, provider: str, model: Json, **labels: str) -> str:
    name = f"gen_ai_client_{what}_count"
    return sample(name, gen_ai_operation_name="chat", ep_upstream_name=provider, **model, **labels)


def attempt(provider: str, model: Json, reason: str = "initial", error: str = "") -> str:
    labels = {"ep_attempt_reason": reason, "error_type": error}
    return asked("operation_duration_seconds", provider, model, **labels)


def spent(
    persona: str, provider: str, usage: Json, model: Json, *, priced: bool = False
) -> dict[str, float]:
    """Return the series of an answer's tokens, and what they cost in the policy above."""
    labels = {"ep_persona": persona, "ep_provider": provider, "ep_key": "anonymous"}
    labels["gen_ai_request_model"] = model["gen_ai_request_model"]
    details: dict[str, int] = usage.get("prompt_tokens_details") or {}
    read, written = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    counts = {
        "input": usage["prompt_tokens"],
        "output": usage["completion_tokens"],
        "cache_read": read,
        "cache_write": written,
    }
    found: dict[str, float] = {
        sample("ep_tokens_total", ep_token_type=kind, **labels): count
        for kind, count in counts.items()
        if count
    }
    for kind in ("input", "output"):
        found[asked("token_usage", provider, model, gen_ai_token_type=kind)] = 1
    if priced:
        fresh = counts["input"] - read - written
        dollars = 2.0 * fresh + 0.5 * read + 3.0 * written + 8.0 * counts["output"]
        found[sample("ep_cost_usd_total", **labels)] = round(dollars / 1e6, 12)
    return found


async def test_a_whole_answer(server: Proxy) -> None:
    with Counted(server) as counted:
        answer = await chat(server, "openai_only", f"{SAID} [sandbox cached=7]")
    usage = answer.json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 7
    assert counted.new == {
        http(200): 1,
        request("openai_only", "openai"): 1,
        overhead("openai_only"): 1,
        attempt("openai", OPENAI): 1,
        **spent("openai_only", "openai", usage, OPENAI, priced=True),
    }


async def test_a_streamed_answer(server: Proxy) -> None:
    with Counted(server) as counted:
        wants = {"include_usage": True}
        answer = await chat(server, "anthropic_only", SAID, stream=True, stream_options=wants)
    *_, last, done = events_of(answer.content)
    assert done == "[DONE]"
    assert counted.new == {
        http(200): 1,
        request("anthropic_only", "anthropic", stream=True): 1,
        overhead("anthropic_only"): 1,
        attempt("anthropic", ANTHROPIC): 1,
        asked("operation_time_to_first_chunk_seconds", "anthropic", ANTHROPIC): 1,
        asked("operation_time_per_output_chunk_seconds", "anthropic", ANTHROPIC): 1,
        # There are no prices for this one: no cost, and not one of 0.
        **spent("anthropic_only", "anthropic", last["usage"], ANTHROPIC),
    }
    assert not any(
        name.startswith("ep_cost") and "ep_provider=anthropic" in name
        for name in samples(page(server))
    )


async def test_a_fallback(server: Proxy) -> None:
    with Counted(server) as counted:
        text = f"[sandbox provider=anthropic fail=529] {SAID}"
        answer = await chat(server, "anthropic_first", text)
    assert counted.new == {
        http(200): 1,
        request("anthropic_first", "openai"): 1,
        overhead("anthropic_first"): 1,
        attempt("anthropic", ANTHROPIC, error="overloaded_error"): 1,
        attempt("openai", OPENAI, "fallback"): 1,
        sample(
            "ep_fallbacks_total",
            ep_persona="anthropic_first",
            ep_provider="anthropic",
            error_type="overloaded_error",
        ): 1,
        **spent("anthropic_first", "openai", answer.json()["usage"], OPENAI, priced=True),
    }


async def test_a_retry(server: Proxy) -> None:
    marker = unique()
    with Counted(server) as counted:
        text = f"[sandbox fail=429 retry_after=0.2 times=1 key={marker}] {SAID}"
        answer = await chat(server, "openai_first", text)
    assert answer.headers["x-ep-attempts"] == "2"
    # OpenAI's own word for the limit.
    failed = "requests"
    assert counted.new == {
        http(200): 1,
        request("openai_first", "openai"): 1,
        overhead("openai_first"): 1,
        attempt("openai", OPENAI, error=failed): 1,
        attempt("openai", OPENAI, "retry"): 1,
        sample("ep_retries_total", ep_persona="openai_first", ep_provider="openai"): 1,
        **spent("openai_first", "openai", answer.json()["usage"], OPENAI, priced=True),
    }


async def test_an_answer_that_nobody_could_give(server: Proxy) -> None:
    with Counted(server) as counted:
        answer = await chat(server, "anthropic_only", "[sandbox fail=500]")
    assert answer.status_code == 502
    assert counted.new == {
        http(502, "api_error"): 1,
        request("anthropic_only", "anthropic", "upstream_error"): 1,
        attempt("anthropic", ANTHROPIC, error="api_error"): 1,
        attempt("anthropic", ANTHROPIC, "retry", error="api_error"): 1,
        sample("ep_retries_total", ep_persona="anthropic_only", ep_provider="anthropic"): 1,
    }


async def test_a_stream_that_breaks(server: Proxy) -> None:
    with Counted(server) as counted:
        answer = await chat(server, "openai_only", "[sandbox words=40 cut=6]", stream=True)
    assert answer.status_code == 200
    (broken,) = (name for name in counted.new if "http_server" in name)
    # As on the SERVER span: the status says 200, and the answer is not whole.
    assert "error_type=" in broken
    assert counted.new[request("openai_only", "openai", "upstream_error", stream=True)] == 1
    assert counted.new[asked("operation_time_to_first_chunk_seconds", "openai", OPENAI)] == 1


async def test_a_client_that_leaves_is_no_failure(server: Proxy, upstream: Upstream) -> None:
    with Counted(server) as counted:
        body = body_of("openai_only", "[sandbox stall=6 words=40]", stream=True)
        async with await Connection.ask(server, body) as client:
            await client.until(b"the proxy")
            await client.close()
    assert counted.new == {
        http(200): 1,
        request("openai_only", "openai", "client_disconnect", stream=True): 1,
        overhead("openai_only"): 1,
        attempt("openai", OPENAI): 1,
        asked("operation_time_to_first_chunk_seconds", "openai", OPENAI): 1,
        asked("operation_time_per_output_chunk_seconds", "openai", OPENAI): 1,
    }


async def test_rejected_candidates(server: Proxy) -> None:
    image = {"type": "image_url", "image_url": {"url": PICTURE}}
    content = [{"type": "text", "text": SAID}, image]
    messages = [{"role": "user", "content": content}]
    with Counted(server) as counted:
        answer = await chat(server, "sees", messages=messages)
    assert answer.status_code == 200, answer.text

    def rejected(persona: str, provider: str, reason: str) -> str:
        labels = {"ep_persona": persona, "ep_provider": provider, "ep_reason": reason}
        return sample("ep_route_rejections_total", **labels)

    assert counted.new == {
        http(200): 1,
        request("sees", "openai"): 1,
        overhead("sees"): 1,
        attempt("openai", OPENAI): 1,
        rejected("sees", "blind", "missing_capabilities"): 1,
        rejected("sees", "keyless", "unavailable"): 1,
        **spent("sees", "openai", answer.json()["usage"], OPENAI, priced=True),
    }
    with Counted(server) as counted:
        answer = await chat(server, "sees_nothing", messages=messages)
    assert answer.status_code == 400
    assert counted.new == {
        http(400): 1,
        request("sees_nothing", "", "refused"): 1,
        rejected("sees_nothing", "blind", "missing_capabilities"): 1,
    }


async def test_what_was_ignored_and_what_was_emulated(server: Proxy) -> None:
    form = {"type": "json_object"}
    odd: Json = {"x_made_up": 1, "x_more": 2}
    with Counted(server) as counted:
        answer = await chat(
            server, "anthropic_only", "Say it in JSON.", seed=3, response_format=form, **odd
        )
    assert answer.status_code == 200, answer.text
    reported = answer.headers["x-ep-ignored-params"], answer.headers["x-ep-emulated-params"]
    assert reported == ("seed, x_made_up, x_more", "response_format")

    def told(what: str, name: str) -> str:
        return sample(f"ep_params_{what}_total", ep_provider="anthropic", ep_param=name)

    assert {name: value for name, value in counted.new.items() if "_params_" in name} == {
        told("ignored", "seed"): 1,
        # However many: no client makes a label.
        told("ignored", "other"): 1,
        told("emulated", "response_format"): 1,
    }


async def test_an_answer_that_was_kept(server: Proxy) -> None:
    text = f"{unique()} {SAID}"
    for word in ("miss", "hit"):
        with Counted(server) as counted:
            answer = await chat(server, "kept", text)
        assert answer.headers["x-ep-cache"] == word
        new = {
            http(200): 1,
            request("kept", "openai"): 1,
            overhead("kept"): 1,
            sample("ep_cache_answers_total", ep_persona="kept", ep_cache=word): 1,
        }
        if word == "miss":
            usage = answer.json()["usage"]
            new |= {
                attempt("openai", OPENAI): 1,
                **spent("kept", "openai", usage, OPENAI, priced=True),
            }
        # A hit calls nobody, and nobody is billed for it.
        assert counted.new == new


async def test_what_is_refused_before_it_is_read_is_a_request_all_the_same(server: Proxy) -> None:
    with Counted(server, 3) as counted:
        async with new_client(server) as client:
            await client.post(CHAT, content=b"{", headers={"content-type": "application/json"})
            await client.post("/v1/nothing")
            await client.request("DELETE", CHAT)
    assert counted.new == {
        http(400): 1,
        sample(
            "http_server_request_duration_seconds_count",
            http_request_method="POST",
            http_response_status_code=404,
        ): 1,
        sample(
            "http_server_request_duration_seconds_count",
            http_request_method="DELETE",
            http_route=CHAT,
            http_response_status_code=405,
        ): 1,
    }


async def test_a_model_that_was_named_directly_is_nobodys_label(server: Proxy) -> None:
    with Counted(server, 2) as counted:
        known = await chat(server, "second_openai/gpt-4.1-mini", SAID)
        other = await chat(server, "second_openai/gpt-4.1-nano", SAID)
        assert (known.status_code, other.status_code) == (200, 200), other.text
    assert counted.new[request("other", "second_openai")] == 2
    labels = {"gen_ai_provider_name": "openai"}
    for model in ("gpt-4.1-mini", "other"):
        name = attempt("second_openai", {**labels, "gen_ai_request_model": model})
        assert counted.new[name] == 1


async def test_what_is_under_way_is_told_while_it_is(server: Proxy, upstream: Upstream) -> None:
    gauge = sample("ep_requests_in_flight")
    wait_until(lambda: samples(page(server))[gauge] == 0)
    body = body_of("openai_only", "[sandbox stall=6 words=40]", stream=True)
    async with await Connection.ask(server, body), await Connection.ask(server, body):

        async def both() -> bool:
            return await upstream.count("started", "openai") == 2

        await eventually(both)
        assert samples(page(server))[gauge] == 2
    wait_until(lambda: samples(page(server))[gauge] == 0)


async def test_nothing_that_a_client_said_and_no_key_is_on_the_page(server: Proxy) -> None:
    canary = f"canary{unique()}"
    headers = {"authorization": f"Bearer {canary}", "x-request-id": canary}
    await chat(server, "openai_only", canary, headers=headers, user=canary, metadata={canary: "x"})
    await chat(server, canary, canary)
    await chat(server, f"openai/{canary}", canary)
    text = page(server)
    assert canary not in text
    assert UPSTREAM_KEY not in text
    assert str(server.port) not in text
