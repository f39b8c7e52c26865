"""Which traces are recorded: the same ones as the SDK would record."""

import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from proxy.telemetry.tracing.sampling import GROUP, HeadSampler, check_sampler, sampler_from
from proxy.telemetry.variables import TelemetryError

NAMES = ("always_on", "always_off", "traceidratio")
RATES = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 0.01, 1e-9]), st.floats(0, 1))
BOUNDARY = 1 << 63


def of_the_sdk(name: str, rate: float) -> sdk.Sampler:
    """Return the sampler that the SDK has under a name."""
    root = {
        "always_on": sdk.ALWAYS_ON,
        "always_off": sdk.ALWAYS_OFF,
        "traceidratio": sdk.TraceIdRatioBased(rate),
    }[name.removeprefix("parentbased_")]
    return sdk.ParentBased(root) if name.startswith("parentbased_") else root


@given(
    name=st.sampled_from([prefix + name for prefix in ("", "parentbased_") for name in NAMES]),
    rate=RATES,
    trace_id=st.one_of(
        st.integers(1, (1 << 128) - 1),
        st.sampled_from([BOUNDARY - 1, BOUNDARY, BOUNDARY + 1, (1 << 64) - 1, 1 << 64, 1]),
    ),
    parent=st.one_of(st.none(), st.tuples(st.booleans(), st.integers(0, 3))),
)
@example(name="traceidratio", rate=0.5, trace_id=BOUNDARY, parent=None)
@example(name="traceidratio", rate=0.5, trace_id=BOUNDARY - 1, parent=None)
@example(name="always_off", rate=1, trace_id=1 << 64, parent=None)
@example(name="always_on", rate=0, trace_id=(1 << 64) - 1, parent=None)
def test_each_decision_is_the_sdks(
    name: str, rate: float, trace_id: int, parent: tuple[bool, int] | None
):
    variables = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": repr(rate)}
    sampler = sampler_from(variables)
    assert isinstance(sampler, HeadSampler)
    above = parent and SpanContext(trace_id, 7, parent[0], TraceFlags(parent[1]))
    context = set_span_in_context(NonRecordingSpan(above)) if above else None
    expected = of_the_sdk(name, rate).should_sample(context, trace_id, "POST")
    assert sampler.samples(above or None, trace_id) is expected.decision.is_sampled()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, HeadSampler.of(1, parent_based=True)),
        ({"OTEL_TRACES_SAMPLER": ""}, HeadSampler.of(1, parent_based=True)),
        ({"OTEL_TRACES_SAMPLER": "ALWAYS_OFF"}, HeadSampler.of(0, parent_based=False)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, HeadSampler.of(1, parent_based=False)),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.1"}, HeadSampler.of(1, parent_based=True)),
    ],
)
def test_what_is_not_said_is_the_specifications_default(
    variables: dict[str, str], expected: HeadSampler
):
    check_sampler(variables)
    assert sampler_from(variables) == expected


@pytest.mark.parametrize("rate", ["much", "-0.1", "1.5", "nan", "inf"])
def test_a_rate_that_is_none_stops_the_start(rate: str):
    variables = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": rate}
    with pytest.raises(TelemetryError, match=f"OTEL_TRACES_SAMPLER_ARG is `{rate}`.*from 0 to 1"):
        check_sampler(variables)


def test_a_sampler_that_nobody_has_stops_the_start():
    with pytest.raises(TelemetryError, match="`sometimes`; known are `always_on`, `parentbased_al"):
        check_sampler({"OTEL_TRACES_SAMPLER": "sometimes"})


def test_one_that_a_package_registers_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a_sampler.py").write_text(
        "from opentelemetry.sdk.trace.sampling import TraceIdRatioBased\n"
        "def make(argument):\n    return TraceIdRatioBased(float(argument))\n"
    )
    metadata = tmp_path / "a_sampler-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: a-sampler\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nmy_Own = a_sampler:make\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    variables = {"OTEL_TRACES_SAMPLER": "my_Own", "OTEL_TRACES_SAMPLER_ARG": "0.25"}
    check_sampler(variables)
    assert "a_sampler" not in sys.modules
    sampler = sampler_from(variables)
    assert isinstance(sampler, sdk.TraceIdRatioBased) and sampler.rate == 0.25
    sys.modules.pop("a_sampler")
