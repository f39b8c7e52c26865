"""What queries ask for: metrics and labels, read from PromQL by a parser."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import promql_parser
import yaml

from tests.serving import ROOT

__all__ = ["Asked", "asked_by", "dashboard", "dashboard_queries", "panels", "rule_queries"]

_GRAFANA = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}

_OF_THE_SCRAPE = frozenset({"job", "instance"})
"""Labels that Prometheus adds; and `le` is every histogram's."""


_PATTERNS: Mapping[str, Callable[[str], str | None]] = {
    "MatchOp.Equal": re.escape,
    # A variable of the dashboard is any value.
    "MatchOp.Re": lambda value: None if value.startswith("$") else value,
}


@dataclass(frozen=True)
class Asked:
    """What a query needs to be exported.

    Attributes:
        metrics: Names of series.
        labels: Names of labels that it selects or groups by, but for those Prometheus adds.
        selected: Of which metric it wants which label to have a value: a regular expression.
    """

    metrics: frozenset[str]
    labels: frozenset[str]
    selected: frozenset[tuple[str, str, str]]


def asked_by(query: str) -> Asked:
    """Return what a query asks for.

    Raises:
        ValueError: It is no PromQL, or a selector has no name.
    """
    for variable, value in _GRAFANA.items():
        query = query.replace(variable, value)
    metrics: set[str] = set()
    labels: set[str] = set()
    selected: set[tuple[str, str, str]] = set()

    def visit(found: promql_parser.Expr) -> bool:
        if isinstance(found, promql_parser.MatrixSelector):
            found = found.vector_selector
        if isinstance(found, promql_parser.VectorSelector):
            if found.name is None:
                raise ValueError(f"a selector without a name, in {query}")
            metrics.add(found.name)
            for matcher in found.matchers.matchers:
                labels.add(matcher.name)
                pattern = _PATTERNS.get(str(matcher.op), lambda _: None)(matcher.value)
                if pattern is not None and matcher.name not in _OF_THE_SCRAPE:
                    selected.add((found.name, matcher.name, pattern))
        if isinstance(found, promql_parser.AggregateExpr) and found.modifier is not None:
            labels.update(found.modifier.labels)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return Asked(frozenset(metrics), frozenset(labels - _OF_THE_SCRAPE), frozenset(selected))


def dashboard() -> dict[str, Any]:
    """Return Grafana's dashboard."""
    return json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels, without the rows that they stand in."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Yield each query of the dashboard with where it stands, those of its variables, too."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
        assert found is not None, variable["definition"]
        yield f"variable {variable['name']}", f"count by ({found[2]}) ({found[1]})"


def rule_queries() -> Iterator[tuple[str, str]]:
    """Yield each query of Prometheus' rules with its name."""
    found = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())
    for group in cast(list[dict[str, Any]], found["groups"]):
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]
