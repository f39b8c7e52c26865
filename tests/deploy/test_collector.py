"""The collector's configuration holds together.

The collector itself is not run: it is a program of some 200 MB that no package registry has, and
building it takes longer than all other tests. That each part takes the settings it gets is
therefore not shown here.
"""

from typing import Any, cast

import pytest
import yaml

from tests.serving import ROOT

CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "deploy/collector/config.yaml").read_text())
PIPELINES = cast(dict[str, dict[str, list[str]]], CONFIG["service"]["pipelines"])
KINDS = ("receivers", "processors", "exporters")


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_pipeline_uses_is_defined_and_the_reverse(kind: str) -> None:
    used = {name for pipeline in PIPELINES.values() for name in pipeline[kind]}
    assert used == set(CONFIG[kind])


def test_its_extensions_are_the_ones_that_are_started() -> None:
    assert CONFIG["service"]["extensions"] == list(CONFIG["extensions"])


@pytest.mark.parametrize("name", PIPELINES)
def test_memory_is_looked_at_first_and_batches_are_made_last(name: str) -> None:
    steps = PIPELINES[name]["processors"]
    assert steps[0] == "memory_limiter"
    assert steps[-1] == "batch"


def test_content_and_keys_are_taken_out_before_anything_leaves() -> None:
    steps = PIPELINES["traces"]["processors"]
    assert {"transform/no_content", "redaction/keys"} <= set(steps)
    statements = str(CONFIG["processors"]["transform/no_content"])
    for name in ("input.messages", "output.messages", "system_instructions", "tool.call.arguments"):
        assert f'"gen_ai.{name}"' in statements


def test_what_failed_or_was_slow_is_kept() -> None:
    policies = CONFIG["processors"]["tail_sampling"]["policies"]
    kinds = [policy["type"] for policy in policies]
    assert kinds == ["status_code", "latency", "numeric_attribute", "probabilistic"]
    assert all(policy["type"] in policy for policy in policies), "settings stand below the type"


def test_servers_reach_it_by_both_protocols() -> None:
    protocols = CONFIG["receivers"]["otlp"]["protocols"]
    assert protocols["http"]["endpoint"].endswith(":4318")
    assert protocols["grpc"]["endpoint"].endswith(":4317")
