"""What may stand in a label: few words, whoever makes them up."""

from typing import Any

import pytest

from proxy.telemetry.metrics.instruments import INSTRUMENTS
from proxy.telemetry.metrics.label_values import ErrorTypes, KnownNames, method, top_level
from proxy.telemetry.metrics.meters import MOST_SERIES, Meters
from proxy.telemetry.metrics.prometheus import PrometheusBackend
from tests.policy.building import made
from tests.scrape import sample, samples


def test_only_so_many_error_types_of_providers_count():
    errors = ErrorTypes(most=3)
    words = [f"made_up_{number}" for number in range(10)]
    assert [errors.label(word) for word in words] == [*words[:3], *["other"] * 7]
    assert errors.label("made_up_1") == "made_up_1"
    # Our own always have a place.
    assert errors.label("timeout") == "timeout"
    assert errors.label(None) is None


@pytest.mark.parametrize("text", ["", "a b", "a" * 65, "ключ", 'a"b', "a\nb", "sk-x/y"])
def test_what_is_no_word_is_no_error_type(text: str):
    assert ErrorTypes().label(text) == "other"


def test_the_names_of_an_earlier_policy_are_still_known():
    chooses = "{provider_preferences: [{provider: openai, model: m1}]}"
    known = KnownNames(made(f"personas: {{writer: {chooses}}}"))
    known.follow(made("personas: {reader: {provider_preferences: [openai]}}"))
    names = ("writer", "reader", "x")
    assert [known.persona(name) for name in names] == ["writer", "reader", "other"]
    assert [known.model("openai", name) for name in ("m1", "gpt-5.2")] == ["m1", "gpt-5.2"]
    # Another provider's model is none of this one's.
    assert known.model("anthropic", "m1") == "other"


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("seed", "seed"),
        ("messages[3].name", "messages"),
        ("stream_options.include_obfuscation", "stream_options"),
        ("x_made_up", "other"),
        ("", "other"),
        (".seed", "other"),
    ],
)
def test_a_parameter_is_one_of_openais(path: str, label: str):
    assert top_level(path) == label


def test_a_method_is_one_of_https():
    assert [method(name) for name in ("GET", "get", "BREW")] == ["GET", "_OTHER", "_OTHER"]


def test_what_is_one_series_too_many_is_counted_together():
    backend = PrometheusBackend()
    meter: Any = Meters(INSTRUMENTS, [backend]).of("ep.retries")
    for number in range(MOST_SERIES + 5):
        meter.record(1, (f"persona {number}", "x"))
    found = samples(backend.page(as_openmetrics=False)[0].decode())
    assert len(found) == MOST_SERIES + 1
    assert found[sample("ep_retries_total", ep_persona="other", ep_provider="other")] == 5


def test_a_wrong_number_of_labels_is_a_bug():
    meter: Any = Meters(INSTRUMENTS, [PrometheusBackend()]).of("ep.retries")
    with pytest.raises(ValueError, match="1 labels are given, 2 are named"):
        meter.record(1, ("one",))


def test_a_metric_that_is_not_in_the_table_is_a_bug():
    with pytest.raises(KeyError):
        Meters(INSTRUMENTS, []).of("ep.unheard_of")
