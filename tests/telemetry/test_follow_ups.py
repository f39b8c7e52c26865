"""The attempt's span says how many further requests an answer took."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proxy.call import Call
from proxy.telemetry.spans import AttemptEnd, AttemptStart
from proxy.telemetry.tracing.otel import OtelTelemetry
from translators.fidelity import Report


def attributes_after(follow_ups: int) -> dict[str, object]:
    exporter = InMemorySpanExporter()
    tracing = TracerProvider(shutdown_on_exit=False)
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    request = OtelTelemetry(tracing, "0").request(
        {"method": "POST", "path": "/", "scheme": "http", "http_version": "1.1", "headers": []}
    )
    attempt = request.attempt(
        AttemptStart(
            provider="p",
            dialect="anthropic_messages",
            model="m",
            base_url="http://p.test",
            number=1,
            reason="initial",
            stream=False,
            parameters={},
            report=Report(),
            trace_context="none",
        )
    )
    attempt.end(AttemptEnd(call=Call(follow_ups=follow_ups), outcome=None, end_reason="completed"))
    (span,) = exporter.get_finished_spans()
    return dict(span.attributes or {})


def test_follow_ups_are_counted_on_the_attempt():
    assert attributes_after(2)["ep.attempt.follow_ups"] == 2


def test_an_answer_in_one_piece_says_nothing_of_them():
    assert "ep.attempt.follow_ups" not in attributes_after(0)
