"""Our spans behind OpenTelemetry's API: what one may expect of any tracer."""

import enum
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from proxy.telemetry.tracing.limits import SpanLimits
from proxy.telemetry.tracing.records import SpanRecord
from proxy.telemetry.tracing.sampling import HeadSampler
from proxy.telemetry.tracing.tracer import RecordProvider, RecordTracer

STATE = TraceState([("vendor", "a"), ("other", "b")])
REMOTE = SpanContext(0xABC, 0xDEF, True, TraceFlags(1), STATE)


class Recorded:
    """A tracer, and what it recorded."""

    def __init__(self, sampler: HeadSampler | Sampler | None = None, **limits: str) -> None:
        self.spans: list[SpanRecord] = []
        variables = {f"OTEL_{name}_LIMIT": value for name, value in limits.items()}
        provider = RecordProvider(
            self.spans.append, sampler=sampler, limits=SpanLimits.from_environment(variables)
        )
        self.tracer: RecordTracer = provider.get_tracer("test", "1")

    def start(self, **arguments: Any) -> SpanRecord:
        """Start a span that is recorded."""
        arguments.setdefault("context", Context())
        span = self.tracer.start_span("name", **arguments)
        assert isinstance(span, SpanRecord)
        return span


def below(context: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(context), Context())


def test_a_root_has_ids_of_its_own_and_says_that_they_are_random():
    recorded = Recorded()
    spans = [recorded.start() for _ in range(200)]
    contexts = [span.get_span_context() for span in spans]
    assert len({context.trace_id for context in contexts}) == 200
    assert len({context.span_id for context in contexts}) == 200
    assert all(context.is_valid and not context.is_remote for context in contexts)
    assert {int(context.trace_flags) for context in contexts} == {3}
    assert all(span.parent is None for span in spans)


def test_a_child_is_of_its_parents_trace_with_its_flags_and_state():
    recorded = Recorded()
    child = recorded.start(context=below(REMOTE))
    grandchild = recorded.start(context=set_span_in_context(child, Context()))
    assert child.parent == REMOTE
    assert grandchild.parent == child.context
    for span in (child, grandchild):
        assert span.context.trace_id == REMOTE.trace_id
        # The caller did not say that its id is random, and nobody else can know.
        assert int(span.context.trace_flags) == 1
        assert span.context.trace_state == STATE
    assert child.context.span_id not in (REMOTE.span_id, grandchild.context.span_id)


def test_what_the_caller_does_not_sample_is_not_recorded_but_has_a_context():
    recorded = Recorded()
    unsampled = SpanContext(0xABC, 0xDEF, True, TraceFlags(2), STATE)
    span = recorded.tracer.start_span("name", context=below(unsampled))
    context = span.get_span_context()
    assert not span.is_recording()
    assert (context.trace_id, int(context.trace_flags)) == (0xABC, 2)
    assert context.trace_state == STATE and context.span_id not in (0, 0xDEF)
    span.end()
    assert recorded.spans == []


def test_an_ended_span_is_handed_over_once_and_changes_no_more():
    recorded = Recorded()
    span = recorded.start(attributes={"a": 1}, kind=SpanKind.CLIENT)
    assert span.is_recording() and recorded.spans == []
    span.end()
    assert not span.is_recording() and recorded.spans == [span]
    end = span.end_time
    span.set_attribute("b", 2)
    span.set_attributes({"c": 3})
    span.add_event("late")
    span.add_link(REMOTE)
    span.set_status(StatusCode.ERROR, "late")
    span.update_name("late")
    span.record_exception(ValueError("late"))
    span.end()
    assert recorded.spans == [span]
    assert (span.name, span.attributes, span.events, span.links) == ("name", {"a": 1}, [], [])
    assert (span.status_code, span.end_time) == (StatusCode.UNSET, end)
    assert span.start_time <= (end or 0)


def test_times_may_be_given():
    recorded = Recorded()
    span = recorded.start(start_time=5)
    span.add_event("e", {"x": 1.5}, timestamp=6)
    span.end(end_time=7)
    assert (span.start_time, span.events[0].time, span.end_time) == (5, 6, 7)
    assert span.events[0].attributes == {"x": 1.5}


class Colour(enum.StrEnum):
    RED = "red"


class Odd:
    def __str__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["a", "b"], ("a", "b")),
        ([1, None, ["x"]], (1, None, ("x",))),
        (range(3), (0, 1, 2)),
        ({"a": [1]}, {"a": (1,)}),
        (b"x", b"x"),
        (Colour.RED, "red"),
        (Odd(), "odd"),
    ],
)
def test_values_are_copied_into_what_the_protocol_knows(given: Any, kept: Any):
    recorded = Recorded()
    span = recorded.start(attributes={"key": given})
    assert span.attributes == {"key": kept}
    if isinstance(given, list):
        cast("list[Any]", given).append("later")
        assert span.attributes == {"key": kept}


def test_none_is_no_attribute_and_harms_none():
    recorded = Recorded()
    span = recorded.start(attributes={"a": None, "b": 1})
    span.set_attribute("c", None)
    span.add_event("e", {"a": None})
    assert (span.attributes, span.events[0].attributes) == ({"b": 1}, {})
    assert span.dropped_attributes == 0


def test_limits_keep_the_first_and_count_the_rest():
    recorded = Recorded(
        SPAN_ATTRIBUTE_COUNT="3",
        SPAN_ATTRIBUTE_VALUE_LENGTH="4",
        ATTRIBUTE_VALUE_LENGTH="2",
        SPAN_EVENT_COUNT="1",
        EVENT_ATTRIBUTE_COUNT="1",
        SPAN_LINK_COUNT="1",
        LINK_ATTRIBUTE_COUNT="0",
    )
    span = recorded.start(attributes={"a": "12345", "b": ["12345"]})
    span.set_attributes({"c": 3, "d": 4, "e": 5})
    span.set_attribute("a", "new")
    assert span.attributes == {"a": "new", "b": ("1234",), "c": 3}
    assert span.dropped_attributes == 2
    span.add_event("one", {"x": "12345", "y": 1})
    span.add_event("two")
    (event,) = span.events
    assert (event.attributes, event.dropped_attributes, span.dropped_events) == ({"x": "12"}, 1, 1)
    span.add_link(REMOTE, {"x": 1})
    span.add_link(REMOTE)
    (link,) = span.links
    assert (link.attributes, link.dropped_attributes, span.dropped_links) == ({}, 1, 1)


def test_the_last_word_of_a_status_is_ok():
    recorded = Recorded()
    span = recorded.start()
    span.set_status(StatusCode.ERROR, "first")
    span.set_status(StatusCode.UNSET)
    assert (span.status_code, span.status_text) == (StatusCode.ERROR, "first")
    span.set_status(Status(StatusCode.ERROR, "second"))
    assert span.status_text == "second"
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR, "late")
    assert (span.status_code, span.status_text) == (StatusCode.OK, None)


def test_links_that_say_nothing_are_left_out():
    recorded = Recorded()
    span = recorded.start(links=[Link(REMOTE, {"a": 1}), Link(INVALID_SPAN_CONTEXT)])
    span.add_link(INVALID_SPAN_CONTEXT, {"b": 2})
    assert [(link.context, link.attributes) for link in span.links] == [
        (REMOTE, {"a": 1}),
        (INVALID_SPAN_CONTEXT, {"b": 2}),
    ]


def test_an_exception_that_leaves_a_block_is_noted_unless_told_not_to():
    recorded = Recorded()
    loud = recorded.start()
    with pytest.raises(KeyError), loud:
        raise KeyError("k")
    quiet = recorded.start(record_exception=False, set_status_on_exception=False)
    with pytest.raises(KeyError), quiet:
        raise KeyError("k")
    assert recorded.spans == [loud, quiet]
    (event,) = loud.events
    assert event.attributes["exception.type"] == "KeyError"
    assert event.attributes["exception.message"] == "'k'"
    assert event.attributes["exception.escaped"] == "True"
    assert 'raise KeyError("k")' in event.attributes["exception.stacktrace"]
    assert (loud.status_code, loud.status_text) == (StatusCode.ERROR, "KeyError: 'k'")
    assert (quiet.status_code, quiet.events) == (StatusCode.UNSET, [])


def test_a_span_can_be_current_and_others_are_below_it():
    recorded = Recorded()
    with recorded.tracer.start_as_current_span("outer") as outer:
        assert get_current_span() is outer
        recorded.tracer.start_span("inner").end()
    assert get_current_span() is not outer
    inner, ended = recorded.spans
    assert ended is outer and inner.parent == ended.context


class Told(Sampler):
    """A sampler of somebody else's."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        self.asked: list[tuple[Any, ...]] = []

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        self.asked.append((name, kind, dict(attributes or {}), list(links or ())))
        return SamplingResult(self.decision, {"sampler": "told"}, TraceState([("told", "1")]))

    def get_description(self) -> str:
        return "told"


@pytest.mark.parametrize(
    ("decision", "recording", "flags", "handed_over"),
    [
        (Decision.DROP, False, 2, 0),
        (Decision.RECORD_ONLY, True, 2, 0),
        (Decision.RECORD_AND_SAMPLE, True, 3, 1),
    ],
)
def test_a_sampler_of_somebody_elses_sees_all_and_is_obeyed(
    decision: Decision, recording: bool, flags: int, handed_over: int
):
    sampler = Told(decision)
    recorded = Recorded(sampler)
    link = Link(REMOTE)
    span: Span = recorded.tracer.start_span(
        "name", context=Context(), kind=SpanKind.SERVER, attributes={"a": 1}, links=[link]
    )
    assert sampler.asked == [("name", SpanKind.SERVER, {"a": 1}, [link])]
    assert span.is_recording() is recording
    assert int(span.get_span_context().trace_flags) == flags
    assert dict(span.get_span_context().trace_state) == {"told": "1"}
    if isinstance(span, SpanRecord):
        assert span.attributes == {"sampler": "told"}
    span.end()
    assert len(recorded.spans) == handed_over
