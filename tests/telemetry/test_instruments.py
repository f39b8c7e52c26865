"""The table of metrics: names by the rules, and the page that shows them."""

import pytest

from proxy.telemetry.metrics.instruments import INSTRUMENTS, label_name, prometheus_name, selected
from tests.telemetry.metrics_table import README, page

# What dashboards and alerts are made of: whoever changes one of these breaks them.
NAMES = {
    *("http_server_request_duration_seconds", "gen_ai_client_operation_duration_seconds"),
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "gen_ai_client_operation_time_per_output_chunk_seconds",
    *("gen_ai_client_token_usage", "ep_request_duration_seconds", "ep_request_overhead_seconds"),
    *("ep_requests_in_flight", "ep_fallbacks_total", "ep_retries_total"),
    *("ep_route_rejections_total", "ep_params_ignored_total", "ep_params_emulated_total"),
    *("ep_tokens_total", "ep_cost_usd_total", "ep_gate_open", "ep_cache_answers_total"),
    *("ep_agent_processes", "ep_agent_waiting", "ep_spans_exported_total"),
    *("ep_spans_dropped_total", "ep_spans_failed_exports_total", "ep_build_info"),
    *("ep_policy_generation", "ep_policy_wrong"),
}


def test_the_names_at_prometheus_stay():
    assert {prometheus_name(row) for row in selected("").values()} == NAMES


@pytest.mark.parametrize("row", INSTRUMENTS.values(), ids=INSTRUMENTS)
def test_a_row_makes_sense(row: object):
    instrument = INSTRUMENTS[getattr(row, "name", "")]
    assert bool(instrument.buckets) == (instrument.kind == "histogram")
    assert list(instrument.buckets) == sorted(set(instrument.buckets))
    assert len(set(map(label_name, instrument.attributes))) == len(instrument.attributes)
    assert "\n" not in instrument.description
    assert not instrument.description.endswith(".")


def test_buckets_are_those_of_the_conventions():
    duration = INSTRUMENTS["gen_ai.client.operation.duration"].buckets
    assert (duration[0], duration[-1], len(duration)) == (0.01, 81.92, 14)
    tokens = INSTRUMENTS["gen_ai.client.token.usage"].buckets
    assert (tokens[0], tokens[-1], len(tokens)) == (1, 67108864, 14)
    assert INSTRUMENTS["http.server.request.duration"].buckets[-1] == 300


OLD = {
    "gen_ai.client.token.usage",
    *(name for name in INSTRUMENTS if name.startswith("gen_ai.client.operation.")),
}
NEW = {name for name in INSTRUMENTS if name.startswith("gen_ai.client.inference.")}


@pytest.mark.parametrize(
    ("opt_in", "there", "not_there"),
    [
        ("", OLD, NEW),
        ("http", OLD, NEW),
        ("gen_ai_latest_experimental", NEW, OLD),
        ("http/dup, gen_ai_latest_experimental", NEW, OLD),
        ("gen_ai_latest_experimental/dup", OLD | NEW, set[str]()),
    ],
)
def test_the_variable_selects_the_names(opt_in: str, there: set[str], not_there: set[str]):
    names = selected(opt_in).keys()
    assert there <= names
    assert not (not_there & names)
    assert names - OLD - NEW == INSTRUMENTS.keys() - OLD - NEW


def test_the_table_is_up_to_date():
    text = README.read_text(encoding="utf-8")
    assert page(text) == text, "Run `make docs`."
    for row in INSTRUMENTS.values():
        assert f"`{prometheus_name(row)}`" in text


def test_a_readme_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="lacks the marks"):
        page("# Telemetry\n")
