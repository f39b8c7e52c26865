"""Dashboard and rules ask for what a real server exports, by the names it has there."""

import re

import pytest

from tests.deploy.exported import Labels, exported_metrics
from tests.deploy.queries import asked_by, dashboard_queries, rule_queries

QUERIES = [*dashboard_queries(), *rule_queries()]
RECORDED = {name for name, _ in rule_queries() if name.startswith("ep:")}

NOT_SEEN_HERE = frozenset({"ep_agent_processes", "ep_agent_waiting", "ep_spans_dropped_total"})
"""Series that may have nothing to count in this test: their labels are not compared."""

HAVE_NO_LABELS = frozenset(
    {
        *("ep_requests_in_flight", "ep_spans_exported_total", "ep_spans_failed_exports_total"),
        *("ep_policy_generation", "ep_policy_wrong"),
    }
)


@pytest.fixture(scope="module")
def exported() -> dict[str, Labels]:
    return exported_metrics()


@pytest.mark.parametrize(("place", "query"), QUERIES, ids=[place for place, _ in QUERIES])
def test_a_query_asks_for_what_is_exported(
    place: str, query: str, exported: dict[str, Labels]
) -> None:
    asked = asked_by(query)
    ours = asked.metrics - {"up"} - RECORDED
    assert ours <= set(exported), f"{place}: no such metric"
    seen = [exported[name] for name in ours]
    if ours & NOT_SEEN_HERE or not ours:
        return
    labels = frozenset(label for series in seen for label in series)
    assert asked.labels <= labels, f"{place}: no such label on {', '.join(sorted(ours))}"


@pytest.mark.parametrize(("place", "query"), QUERIES, ids=[place for place, _ in QUERIES])
def test_what_a_query_selects_there_is(place: str, query: str, exported: dict[str, Labels]) -> None:
    for metric, label, pattern in asked_by(query).selected:
        values = exported[metric][label]
        assert [value for value in values if re.fullmatch(pattern, value)], (
            f"{place}: {label} of {metric} is one of {sorted(values)}, and never {pattern}"
        )


def test_what_is_not_seen_here_is_little(exported: dict[str, Labels]) -> None:
    asked = frozenset[str]().union(*(asked_by(query).metrics for _, query in QUERIES))
    without = {name for name in asked & set(exported) if not exported[name]}
    assert without <= NOT_SEEN_HERE | HAVE_NO_LABELS


@pytest.mark.parametrize(
    ("query", "metrics", "labels"),
    [
        ("up", {"up"}, set[str]()),
        ('rate(a_total{b="c", job="d"}[$__rate_interval])', {"a_total"}, {"b"}),
        ("sum by (x, instance) (a) / ignoring (y) b", {"a", "b"}, {"x"}),
        ("histogram_quantile(0.9, sum by (le, z) (rate(a_bucket[5m])))", {"a_bucket"}, {"le", "z"}),
        ("-a offset 5m > bool 3 or vector(0)", {"a"}, set[str]()),
        ("max_over_time(sum(a)[1h:5m])", {"a"}, set[str]()),
        ("absent((a))", {"a"}, set[str]()),
        ("topk(3, a:b:rate5m)", {"a:b:rate5m"}, set[str]()),
    ],
)
def test_metrics_and_labels_are_read_from_queries(
    query: str, metrics: set[str], labels: set[str]
) -> None:
    asked = asked_by(query)
    assert (set(asked.metrics), set(asked.labels)) == (metrics, labels)


def test_selected_values_are_read_from_queries() -> None:
    asked = asked_by('a{b="x.y", c=~"p|q", d!="r", e=~"$persona", job="s"} / b_total{b="t"}')
    assert asked.selected == {("a", "b", r"x\.y"), ("a", "c", "p|q"), ("b_total", "b", "t")}


@pytest.mark.parametrize("query", ["sum by (", "rate(a)", '{b="c"}', "a b"])
def test_what_is_no_query_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        asked_by(query)
