"""What we write is what the SDK's own exporter writes, read back with OpenTelemetry's messages."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from proxy.telemetry.export.delivery import MAX_REQUEST
from proxy.telemetry.export.encoding import Export, encode_resource, encode_scope, packed
from proxy.telemetry.tracing.limits import SpanLimits
from proxy.telemetry.tracing.records import SpanRecord
from proxy.telemetry.tracing.sampling import HeadSampler
from proxy.telemetry.tracing.tracer import RecordProvider

RESOURCE = Resource({"service.name": "test", "process.pid": 7, "x": ["a"]}, "https://schema/1")
LONG = "ö" * 200

# Surrogates are no text that protobuf could write: see below.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.just(LONG)
WHOLE = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 200)
PLAIN = TEXTS | WHOLE | st.booleans() | st.floats(allow_nan=False) | st.binary(max_size=300)
KEYS = st.text("abc._", min_size=1, max_size=6) | st.just("k" * 150)
VALUES = st.recursive(
    PLAIN, lambda v: st.lists(v | st.none(), max_size=4) | st.dictionaries(KEYS, v, max_size=3)
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=8)
TIMES = st.integers(0, (1 << 63) - 1)
STATES = st.sampled_from([None, TraceState([("a", "1")]), TraceState([("b", "2"), ("a", "x y")])])
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, (1 << 128) - 1),
    st.integers(1, (1 << 64) - 1),
    st.booleans(),
    st.integers(0, 255).map(TraceFlags),
    STATES,
)
SPANS = st.fixed_dictionaries(
    {
        "name": TEXTS,
        "parent": st.none() | CONTEXTS,
        "kind": st.sampled_from(SpanKind),
        "attributes": ATTRIBUTES,
        "events": st.lists(st.tuples(TEXTS, ATTRIBUTES, TIMES), max_size=4),
        "links": st.lists(st.tuples(CONTEXTS, ATTRIBUTES), max_size=3),
        "status": st.sampled_from(
            [StatusCode.UNSET, StatusCode.OK, Status(StatusCode.ERROR, "it broke")]
        ),
        "times": st.tuples(TIMES, TIMES),
    }
)


def recorded(told: Mapping[str, Any], limits: Mapping[str, str], scope: str = "test") -> SpanRecord:
    """Return a span of ours that was told all that, whatever its parent's flags say."""
    spans: list[SpanRecord] = []
    provider = RecordProvider(
        spans.append,
        sampler=HeadSampler.of(1, parent_based=False),
        limits=SpanLimits.from_environment(limits),
    )
    context = Context()
    if parent := told["parent"]:
        context = set_span_in_context(NonRecordingSpan(parent), context)
    tracer = provider.get_tracer(scope, "1.2", "https://schema/2", {"built": True})
    start, end = told["times"]
    span = tracer.start_span(told["name"], context, told["kind"], told["attributes"], (), start)
    for name, attributes, time in told["events"]:
        span.add_event(name, attributes, time)
    for context, attributes in told["links"]:
        span.add_link(context, attributes)
    span.set_status(told["status"])
    span.end(end)
    (record,) = spans
    return record


def of_the_sdk(span: SpanRecord) -> ReadableSpan:
    """Return the same span as the SDK has it."""
    scope = span.scope

    def bounded(attributes: Mapping[str, Any], dropped: int) -> BoundedAttributes:
        made = BoundedAttributes(None, attributes)
        made.dropped = dropped
        return made

    def listed(items: list[Any], dropped: int) -> BoundedList[Any]:
        made = BoundedList[Any].from_seq(None, items)
        made.dropped = dropped
        return made

    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=RESOURCE,
        attributes=bounded(span.attributes, span.dropped_attributes),
        events=listed(
            [
                Event(event.name, bounded(event.attributes, event.dropped_attributes), event.time)
                for event in span.events
            ],
            span.dropped_events,
        ),
        links=listed(
            [
                Link(link.context, bounded(link.attributes, link.dropped_attributes))
                for link in span.links
            ],
            span.dropped_links,
        ),
        kind=span.kind,
        status=Status(span.status_code, span.status_text),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=InstrumentationScope(
            scope.name, scope.version, scope.schema_url, dict(scope.attributes)
        ),
    )


def encoded(*spans: SpanRecord) -> ExportTraceServiceRequest:
    """Return what a collector reads of ours."""
    export = Export(encode_resource(RESOURCE), encode_scope)
    for span in spans:
        assert export.add(packed(span), MAX_REQUEST)
    return ExportTraceServiceRequest.FromString(export.finish())


def messages(request: ExportTraceServiceRequest) -> list[SpanMessage]:
    return [
        span
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def settled(request: ExportTraceServiceRequest) -> bytes:
    """Return a request without what the SDK leaves out, or writes though it says nothing."""
    for span in messages(request):
        span.flags &= ~0xFF
        if not span.HasField("status"):
            span.status.SetInParent()
        for link in span.links:
            link.flags &= ~0xFF
            link.trace_state = ""
    return request.SerializeToString(deterministic=True)


@given(told=SPANS, most=st.sampled_from(["", "1", "3"]))
def test_every_field_is_as_the_sdk_writes_it(told: dict[str, Any], most: str):
    limits = {
        "OTEL_ATTRIBUTE_COUNT_LIMIT": most,
        "OTEL_SPAN_EVENT_COUNT_LIMIT": most,
        "OTEL_SPAN_LINK_COUNT_LIMIT": most,
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "50" if most else "",
    }
    span = recorded(told, limits)
    assert settled(encoded(span)) == settled(encode_spans([of_the_sdk(span)]))


@given(told=SPANS)
def test_flags_and_states_are_as_the_protocol_has_them(told: dict[str, Any]):
    span = recorded(told, {})
    (message,) = messages(encoded(span))
    remote = span.parent is not None and span.parent.is_remote
    assert message.flags == int(span.context.trace_flags) | 0x100 | (0x200 if remote else 0)
    for link, (context, _) in zip(message.links, told["links"], strict=True):
        assert link.flags == int(context.trace_flags) | 0x100 | (0x200 if context.is_remote else 0)
        assert link.trace_state == ",".join(f"{k}={v}" for k, v in context.trace_state.items())


SIMPLE: dict[str, Any] = {
    "name": "n",
    "parent": None,
    "kind": SpanKind.SERVER,
    "attributes": {},
    "events": [],
    "links": [],
    "status": StatusCode.UNSET,
    "times": (1, 2),
}


def test_spans_of_one_instrumentation_are_together_under_one_resource():
    spans = [recorded(SIMPLE, {}, scope) for scope in ("a", "b", "a")]
    request = encoded(*spans)
    (group,) = request.resource_spans
    assert [(one.scope.name, len(one.spans)) for one in group.scope_spans] == [("a", 2), ("b", 1)]
    assert settled(request) == settled(encode_spans([of_the_sdk(span) for span in spans]))


@pytest.mark.parametrize(
    ("value", "field", "read"),
    [
        (float("inf"), "double_value", math.inf),
        (1 << 63, "string_value", str(1 << 63)),
        (-(1 << 63) - 1, "string_value", str(-(1 << 63) - 1)),
        ("a\udc80b", "string_value", "a?b"),
        ("", "string_value", ""),
        (0, "int_value", 0),
        (False, "bool_value", False),
    ],
)
def test_what_the_protocol_has_no_place_for_loses_no_span(value: Any, field: str, read: Any):
    span = recorded({**SIMPLE, "name": "a\udc80", "attributes": {"k": value}}, {})
    (message,) = messages(encoded(span))
    (attribute,) = message.attributes
    assert attribute.value.WhichOneof("value") == field
    assert getattr(attribute.value, field) == read
    assert message.name == "a?"


def test_values_that_are_equal_but_of_other_types_are_told_apart():
    values = [1, True, 1.0, "1", 0, False, 0.0, 1, True]
    spans = [recorded({**SIMPLE, "attributes": {"same.key": value}}, {}) for value in values]
    found = [message.attributes[0].value for message in messages(encoded(*spans))]
    kinds = {int: "int_value", bool: "bool_value", float: "double_value", str: "string_value"}
    assert [one.WhichOneof("value") for one in found] == [kinds[type(value)] for value in values]


def test_names_and_values_without_end_do_not_stay_in_memory():
    from proxy.telemetry.export import encoding

    names = dict(encoding.NAMES)
    encoding.NAMES.clear()
    try:
        for number in range(2000):
            attributes = {"value": f"text {number}", "number": number, f"name.{number}": "x"}
            encoded(recorded({**SIMPLE, "attributes": attributes}, {}))
        assert len(encoding.NAMES) <= 512
        assert len(encoding.NAMES["value"].texts) <= 64
        assert len(encoding.NAMES["number"].numbers) <= 64
    finally:
        encoding.NAMES.clear()
        encoding.NAMES.update(names)
