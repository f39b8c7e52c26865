"""The metrics, as data: their names, units, attributes and buckets, once for all that export them.

Names and buckets of `gen_ai.*` are those of semantic-conventions 1.41, which dashboards and
OpenTelemetry's own libraries use; `latest` are those that semantic-conventions-genai has put in
their place since, which `OTEL_SEMCONV_STABILITY_OPT_IN` selects. `http.*` is semantic-conventions
1.44. `ep.*` is ours. No attribute takes a value that a client can make up: see `label_values`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from proxy.telemetry import attributes as names

__all__ = ["INSTRUMENTS", "Instrument", "Kind", "label_name", "prometheus_name", "selected"]

Kind = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric.

    Attributes:
        name: As OpenTelemetry has it.
        kind: `info` is a gauge whose value is always 1: its attributes are what it tells.
        unit: In UCUM; what stands in braces is for people; empty: none.
        description: For people.
        attributes: Their names, in the order in which values are given.
        buckets: Upper bounds, of a histogram.
        together: What a gauge is of several server processes: the sum of theirs, or the greatest.
        family: Which names of the GenAI conventions it belongs to; None: to none of the two.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    together: Literal["sum", "max"] = "sum"
    family: Literal["v1.41", "latest"] | None = None


DURATIONS: Final = tuple(0.01 * 2**power for power in range(14))
TOKENS: Final = tuple(float(4**power) for power in range(14))
# The conventions end at 10 s; an answer of a model may take minutes.
REQUESTS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(30.0, 60.0, 120.0, 300.0),
)
OVERHEADS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

PERSONA: Final = "ep.persona"
PROVIDER: Final = "ep.provider"
KEY: Final = "ep.key"
REASON: Final = "ep.reason"
MODALITY: Final = "gen_ai.token.modality"

_ASKED: Final = (names.OPERATION, names.PROVIDER, names.REQUEST_MODEL, names.ATTEMPT_PROVIDER)
_ATTEMPT: Final = (*_ASKED, names.ERROR_TYPE, names.ATTEMPT_REASON)
_SPENT: Final = (PERSONA, PROVIDER, names.REQUEST_MODEL, KEY)


def _inference(
    operation: str, inference: str, description: str, attributes: tuple[str, ...] = _ASKED
) -> tuple[Instrument, Instrument]:
    """Return a duration under both of its names."""
    family: tuple[tuple[str, Literal["v1.41", "latest"]], ...] = (
        (f"gen_ai.client.operation.{operation}", "v1.41"),
        (f"gen_ai.client.inference.{inference}", "latest"),
    )
    one, other = (
        Instrument(name, "histogram", "s", description, attributes, DURATIONS, family=which)
        for name, which in family
    )
    return one, other


def _inference_tokens(part: str, description: str) -> Instrument:
    name = f"gen_ai.client.inference.usage.{part}"
    attributes = (*_ASKED, MODALITY)
    return Instrument(name, "counter", "{token}", description, attributes, family="latest")


def _answer_tokens(part: str) -> Instrument:
    return Instrument(
        f"gen_ai.client.inference.operation.{part}_tokens",
        "histogram",
        "{token}",
        f"Tokens of the {part} of one call of a provider",
        _ASKED,
        TOKENS,
        family="latest",
    )


_ALL: Final = (
    Instrument(
        "http.server.request.duration",
        "histogram",
        "s",
        "Requests, from their head until the last byte of the answer was given to the system",
        (names.METHOD, names.ROUTE, names.STATUS, names.ERROR_TYPE),
        REQUESTS,
    ),
    *_inference(
        "duration",
        "duration",
        "Calls of a provider: one for each attempt, and the last byte ends it",
        _ATTEMPT,
    ),
    *_inference(
        "time_to_first_chunk",
        "time_to_first_chunk",
        "Streamed answers, from the call until the first chunk in which a client sees a part of it",
    ),
    *_inference(
        "time_per_output_chunk",
        "time_per_output_chunk",
        "Streamed answers: the mean time between two chunks behind the first, one value a stream",
    ),
    Instrument(
        "gen_ai.client.token.usage",
        "histogram",
        "{token}",
        "Tokens of one call of a provider: input has those of its cache, output the reasoning",
        (*_ASKED, "gen_ai.token.type"),
        TOKENS,
        family="v1.41",
    ),
    _inference_tokens("input_tokens", "Tokens of prompts, with those of the provider's cache"),
    _inference_tokens("output_tokens", "Tokens of answers, with those of the reasoning"),
    _inference_tokens("cache_read.input_tokens", "Of the input: read from the provider's cache"),
    _inference_tokens("cache_write.input_tokens", "Of the input: written to the provider's cache"),
    _inference_tokens("reasoning.output_tokens", "Of the output: reasoning"),
    _answer_tokens("input"),
    _answer_tokens("output"),
    Instrument(
        "ep.request.duration",
        "histogram",
        "s",
        "Chat requests, from when they had been read until they were over; `refused`: before "
        "anybody was asked",
        (PERSONA, PROVIDER, "ep.end_reason", "ep.stream"),
        REQUESTS,
    ),
    Instrument(
        "ep.request.overhead",
        "histogram",
        "s",
        "The proxy's own share of the time until an answer began: without the waits for providers",
        (PERSONA,),
        OVERHEADS,
    ),
    Instrument("ep.requests.in_flight", "gauge", "{request}", "Chat requests under way"),
    Instrument(
        "ep.fallbacks",
        "counter",
        "{fallback}",
        "Attempts at a further provider; labelled with the one that failed, and how",
        (PERSONA, PROVIDER, names.ERROR_TYPE),
    ),
    Instrument(
        "ep.retries",
        "counter",
        "{retry}",
        "Further attempts at the same provider",
        (PERSONA, PROVIDER),
    ),
    Instrument(
        "ep.route.rejections",
        "counter",
        "{rejection}",
        "Candidates that were passed over, by reason: missing_capabilities, unavailable, gate, "
        "translation",
        (PERSONA, PROVIDER, REASON),
    ),
    Instrument(
        "ep.params.ignored",
        "counter",
        "{request}",
        "Requests of which the provider that served them ignored a parameter",
        (PROVIDER, "ep.param"),
    ),
    Instrument(
        "ep.params.emulated",
        "counter",
        "{request}",
        "Requests of which a parameter was reached by other means",
        (PROVIDER, "ep.param"),
    ),
    Instrument(
        "ep.tokens",
        "counter",
        "{token}",
        "Tokens of all attempts. input and output are the totals; cache_read and cache_write are "
        "parts of the input, reasoning is a part of the output",
        (*_SPENT, "ep.token.type"),
    ),
    Instrument(
        "ep.cost",
        "counter",
        "USD",
        "What all attempts cost by the policy's prices, else by an agent's own account; nothing "
        "where neither is known",
        _SPENT,
    ),
    Instrument(
        "ep.gate.open",
        "gauge",
        "",
        "Live gates that are not closed: 1 or 0, of several server processes how many",
        (PERSONA, PROVIDER, names.REQUEST_MODEL),
    ),
    Instrument(
        "ep.cache.answers",
        "counter",
        "{request}",
        "Requests to personas with a cache: hit, or miss",
        (PERSONA, "ep.cache"),
    ),
    Instrument(
        "ep.agent.processes",
        "gauge",
        "{process}",
        "Processes of the Claude CLI: parked for a request, or serving one",
        (PROVIDER, "ep.state"),
    ),
    Instrument(
        "ep.agent.waiting",
        "gauge",
        "{request}",
        "Requests that wait for their turn at the Claude CLI",
        (PROVIDER,),
    ),
    Instrument("ep.spans.exported", "counter", "{span}", "Spans that a collector has taken"),
    Instrument(
        "ep.spans.dropped",
        "counter",
        "{span}",
        "Spans that nobody has taken, by reason",
        (REASON,),
    ),
    Instrument("ep.spans.failed_exports", "counter", "{export}", "Exports of spans that failed"),
    Instrument("ep.build", "info", "", "Always 1: the version", ("version",), together="max"),
    Instrument(
        "ep.policy.generation",
        "gauge",
        "",
        "How many policies have served since the start, the present one included",
        together="max",
    ),
    Instrument(
        "ep.policy.wrong",
        "gauge",
        "",
        "1 while the policy file is refused as it is now, and the policy before it serves",
        together="max",
    ),
)

INSTRUMENTS: Final[Mapping[str, Instrument]] = {row.name: row for row in _ALL}
"""By name."""

_UNITS: Final = {"s": "seconds", "USD": "usd"}


def prometheus_name(instrument: Instrument) -> str:
    """Return a metric's name at Prometheus.

    By OpenTelemetry's rules (compatibility/prometheus_and_openmetrics): dots become `_`, the unit
    is spelled out and appended, unless it is one for people; counters end in `_total`.
    """
    parts = [instrument.name.replace(".", "_")]
    if instrument.unit in _UNITS:
        parts.append(_UNITS[instrument.unit])
    if instrument.kind in ("counter", "info"):
        parts.append("total" if instrument.kind == "counter" else "info")
    return "_".join(parts)


def label_name(attribute: str) -> str:
    """Return an attribute's name at Prometheus."""
    return attribute.replace(".", "_")


def selected(opt_in: str) -> dict[str, Instrument]:
    """Return the metrics that are exported, by name.

    Args:
        opt_in: The value of `OTEL_SEMCONV_STABILITY_OPT_IN`: a list with commas.
    """
    words = {word.strip() for word in opt_in.split(",")}
    families: set[str | None] = {None, "v1.41"}
    if "gen_ai_latest_experimental/dup" in words:
        families.add("latest")
    elif "gen_ai_latest_experimental" in words:
        families = {None, "latest"}
    return {name: row for name, row in INSTRUMENTS.items() if row.family in families}
