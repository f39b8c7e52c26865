"""What a process of the CLI reports, and what of that goes to the collector."""

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from proxy.telemetry.tracing.guests import LONGEST_TEXT, admitted

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER = "1bf7651916cd43dd8448eb211c80319d"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-03"
CANARY = "canary-51d0"


def attribute(key: str, value: str | bool | int) -> KeyValue:
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))


def attributes(values: Mapping[str, str | bool | int]) -> list[KeyValue]:
    return [attribute(key, value) for key, value in values.items()]


def span(name: str, trace: str = TRACE, /, **values: str | bool | int) -> Span:
    told = {key.replace("__", "."): value for key, value in values.items()}
    return Span(
        name=f"claude_code.{name}",
        trace_id=bytes.fromhex(trace),
        span_id=b"12345678",
        parent_span_id=bytes.fromhex("b7ad6b7169203331"),
        attributes=attributes(told),
    )


def report(*spans: Span, resource: Mapping[str, str] | None = None) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attributes(resource or {}))
    scope = group.scope_spans.add()
    scope.scope.name = "com.anthropic.claude_code.tracing"
    scope.spans.extend(spans)
    return request.SerializeToString()


def passed(body: bytes, *, history: int = 0, tools: bool = False) -> list[Span]:
    left, _ = admitted(body, traceparent=TRACEPARENT, history=history, tools=tools)
    request = ExportTraceServiceRequest.FromString(left or b"")
    return [one for g in request.resource_spans for s in g.scope_spans for one in s.spans]


def names(spans: list[Span]) -> list[str]:
    return [one.name.removeprefix("claude_code.") for one in spans]


def test_spans_of_the_requests_trace_pass_with_their_places_and_times():
    told = span("interaction", interaction__sequence=1)
    told.start_time_unix_nano, told.end_time_unix_nano = 5, 9
    told.kind = Span.SPAN_KIND_INTERNAL
    told.status.code = Status.STATUS_CODE_ERROR
    (left,) = passed(report(told))
    assert left == told


def test_a_span_of_another_trace_does_not():
    body = report(span("interaction", OTHER), span("llm_request", TRACE))
    left, left_out = admitted(body, traceparent=TRACEPARENT, history=0, tools=False)
    assert left is not None and left_out == 1
    assert bytes.fromhex(OTHER) not in left
    assert names(passed(body)) == ["llm_request"]


def test_of_a_report_with_nothing_to_pass_nothing_is_left():
    body = report(span("interaction", OTHER))
    assert admitted(body, traceparent=TRACEPARENT, history=0, tools=True) == (None, 1)


def test_turns_of_the_history_are_no_interactions():
    body = report(*(span("interaction", interaction__sequence=n) for n in (1, 2, 3, 4)))
    left = passed(body, history=2)
    assert [one.attributes[0].value.int_value for one in left] == [3, 4]


def test_an_interaction_without_a_number_passes():
    assert names(passed(report(span("interaction")), history=2)) == ["interaction"]


TOOLS = ("tool", "tool.execution", "tool.blocked_on_user")


@pytest.mark.parametrize(("tools", "expected"), [(True, [*TOOLS]), (False, [])])
def test_tools_pass_where_the_process_runs_them_itself(tools: bool, expected: list[str]):
    body = report(*map(span, TOOLS), span("llm_request"))
    assert names(passed(body, tools=tools)) == [*expected, "llm_request"]


def test_a_span_of_an_unknown_kind_does_not_pass():
    strange = span("interaction")
    strange.name = f"shell {CANARY}"
    assert passed(report(strange, span("brand_new"))) == []


# Seen on spans of CLI 2.1.330; the first six where somebody is logged in.
PRIVATE: dict[str, Any] = {
    "user.email": CANARY,
    "organization.id": CANARY,
    "user.account_uuid": CANARY,
    "user.account_id": CANARY,
    "user.id": CANARY,
    "anthropic.plan": CANARY,
    "user_prompt": CANARY,
    "error": CANARY,
    "full_command": CANARY,
    "file_path": CANARY,
    "gen_ai.conversation.id": CANARY,
    "gen_ai.operation.name": CANARY,
}


@pytest.mark.parametrize("name", ["interaction", "llm_request", "tool", "tool.execution"])
def test_who_is_logged_in_and_what_was_said_stays_here(name: str):
    told = span(name, input_tokens=5, session__id="s-1", model="claude-sonnet-5")
    told.attributes.extend(attributes(PRIVATE))
    told.events.add(name=CANARY).attributes.extend(attributes({"output": CANARY}))
    told.links.add(trace_id=bytes.fromhex(OTHER)).attributes.extend(attributes({"a": CANARY}))
    told.trace_state = f"vendor={CANARY}"
    told.status.message = CANARY
    body = report(told, resource={"host.name": CANARY, "service.name": "claude-code"})
    left, left_out = admitted(body, traceparent=TRACEPARENT, history=0, tools=True)
    assert left is not None and left_out == 0
    assert CANARY.encode() not in left and bytes.fromhex(OTHER) not in left
    (one,) = passed(body, tools=True)
    assert [entry.key for entry in one.attributes] == ["input_tokens", "session.id", "model"]
    request = ExportTraceServiceRequest.FromString(left)
    (group,) = request.resource_spans
    assert [entry.key for entry in group.resource.attributes] == ["service.name"]


def test_no_attribute_is_counted_with_those_of_our_own_spans():
    told = span("llm_request")
    known = ("gen_ai.request.model", "gen_ai.system", "gen_ai.tool.name", "gen_ai.provider.name")
    told.attributes.extend(attributes(dict.fromkeys(known, "x")))
    (one,) = passed(report(told))
    assert list(one.attributes) == []


def test_what_a_process_says_at_length_has_bounds():
    (one,) = passed(report(span("tool", tool_name="n" * 5000)), tools=True)
    assert len(one.attributes[0].value.string_value) == LONGEST_TEXT


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b'{"resourceSpans":[]}'])
def test_what_is_no_report_is_refused(body: bytes):
    with pytest.raises(ValueError, match="not an ExportTraceServiceRequest"):
        admitted(body, traceparent=TRACEPARENT, history=0, tools=False)
