"""What spans have in common is kept whole, and nobody who reads a span can tell."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from proxy.telemetry.export.encoding import encode_span
from proxy.telemetry.recurring import Recurring, recurring
from proxy.telemetry.tracing.limits import SpanLimits
from proxy.telemetry.tracing.records import SpanRecord
from proxy.telemetry.tracing.tracer import RecordProvider

VALUES = st.one_of(st.text(max_size=5), st.booleans(), st.integers(-9, 9), st.just(("a", "b")))
PARTS = st.lists(
    st.tuples(st.booleans(), st.dictionaries(st.sampled_from("abcdef"), VALUES, max_size=4)),
    max_size=5,
)


def span_of(parts: list[Mapping[str, Any]], limits: Mapping[str, str]) -> SpanRecord:
    """Return a span that was given attributes, one part after the other."""
    provider = RecordProvider(lambda _: None, limits=SpanLimits.from_environment(limits))
    span = provider.get_tracer("test").start_span("name", Context())
    assert isinstance(span, SpanRecord)
    for part in parts:
        span.set_attributes(part)
    return span


def told(span: SpanRecord) -> dict[str, str]:
    """Return the attributes that an export has of a span; each name stands there once."""
    (read,) = ScopeSpans.FromString(encode_span(span)).spans
    found = {attribute.key: str(attribute.value) for attribute in read.attributes}
    assert len(found) == len(read.attributes)
    return found


@given(PARTS, st.sampled_from([None, "0", "1", "4", "5"]), st.sampled_from([None, "2"]))
def test_a_span_tells_the_same_whoever_keeps_its_attributes(
    parts: list[tuple[bool, dict[str, Any]]], most: str | None, longest: str | None
) -> None:
    given = {"COUNT": most, "VALUE_LENGTH": longest}
    limits = {f"OTEL_ATTRIBUTE_{name}_LIMIT": value for name, value in given.items() if value}
    plain = span_of([part for _, part in parts], limits)
    mixed = span_of([Recurring(part) if again else part for again, part in parts], limits)
    assert mixed.attributes == plain.attributes
    assert mixed.dropped_attributes == plain.dropped_attributes
    assert told(mixed) == told(plain)
    # And once more: what is encoded already is the same.
    assert told(mixed) == told(plain)


def test_what_recurs_is_made_once_and_nobody_changes_it() -> None:
    of = recurring("a", "b", "c")
    assert of("x", None, ("y",)) == {"a": "x", "c": ("y",)}
    assert of("x", 1, None) is of("x", 1, None)
    span = span_of([of("x", 1, None), {"a": "z"}], {})
    assert span.attributes == {"a": "z", "b": 1}
    assert of("x", 1, None) == {"a": "x", "b": 1}


def test_texts_are_cut() -> None:
    (value,) = Recurring({"a": "x" * 10_000}).values()
    assert 0 < len(value) < 1000


def test_there_is_a_value_for_each_name() -> None:
    with pytest.raises(ValueError, match="shorter"):
        recurring("a", "b")("x")
