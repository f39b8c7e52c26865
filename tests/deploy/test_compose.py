"""compose.yaml: right by the specification, and confined."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from proxy.config import load_settings
from tests.serving import ROOT

DEPLOY = ROOT / "deploy"
FILE = DEPLOY / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES = cast(dict[str, dict[str, Any]], COMPOSE["services"])


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    """Check a file against the schema of the compose specification."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
        + [str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_is_what_the_specification_says(tmp_path: Path) -> None:
    done = checked(FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("read_only:", "readonly:"))
    assert checked(wrong).returncode == 1, "the check does not see a key that is not known"


def test_all_four_are_there_and_named_by_versions() -> None:
    assert set(SERVICES) == {"proxy", "jaeger", "prometheus", "grafana"}
    fetched = {name: row["image"] for name, row in SERVICES.items() if "build" not in row}
    for image in fetched.values():
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", image), image
    assert fetched["jaeger"].startswith("jaegertracing/jaeger:2.")
    assert fetched["prometheus"].startswith("prom/prometheus:v3.")
    assert fetched["grafana"].startswith("grafana/grafana:12.")


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_little(name: str) -> None:
    row = SERVICES[name]
    assert row["read_only"] is True
    assert row["cap_drop"] == ["ALL"]
    assert row["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in row and "network_mode" not in row and "user" not in row
    limits = row["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} == set(limits)
    assert name == "proxy" or row["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_bound_to_loopback(name: str) -> None:
    assert SERVICES[name]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_every_file_that_it_mounts_is_there_and_cannot_be_written() -> None:
    named: set[str] = set()
    for row in SERVICES.values():
        for volume in cast(list[str], row.get("volumes", [])):
            source, target, *mode = _defaults(volume).split(":")
            if source in COMPOSE["volumes"]:
                named.add(source)
                continue
            assert mode == ["ro"], volume
            assert (DEPLOY / source).exists(), volume
            assert target.startswith("/")
    assert named == set(COMPOSE["volumes"])


def _defaults(text: str) -> str:
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def environment(path: Path) -> Mapping[str, str]:
    lines = (line for line in path.read_text().splitlines() if line and line[0] != "#")
    return dict(line.split("=", 1) for line in lines)


def sandbox() -> dict[str, str]:
    """Return the variables of the server where nothing else is asked for."""
    (file,) = SERVICES["proxy"]["env_file"]
    return {**environment(DEPLOY / _defaults(file)), **SERVICES["proxy"]["environment"]}


def test_as_it_stands_the_sandbox_answers_to_a_key_that_says_what_it_is() -> None:
    variables = sandbox()
    # Known only where the server has metrics; it is looked at below.
    del variables["EP_METRICS_KEY"]
    settings = load_settings(variables)
    assert settings.sandbox
    assert [key.get_secret_value() for key in settings.client_keys] == [
        "demo-key-known-to-everybody"
    ]
    assert f"127.0.0.1:{settings.port}" in _defaults(SERVICES["proxy"]["ports"][0])


def test_no_key_is_in_the_file_itself() -> None:
    for row in SERVICES.values():
        names = cast(dict[str, Any], row.get("environment", {}))
        assert not [name for name in names if re.search("KEY|TOKEN|PASSWORD|SECRET", name)]


def test_an_engine_waits_longer_than_the_server_drains() -> None:
    grace = int(SERVICES["proxy"]["stop_grace_period"].removesuffix("s"))
    assert (
        grace
        > load_settings({k: v for k, v in sandbox().items() if "METRICS" not in k}).drain_timeout
    )


def test_spans_go_to_jaeger_and_prometheus_asks_the_server() -> None:
    assert SERVICES["proxy"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://jaeger:4318"
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = scraped["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["proxy:8080"]}]
    (key,) = [v for v in SERVICES["prometheus"]["volumes"] if "metrics-key" in v]
    source, target, _ = _defaults(key).split(":")
    assert job["authorization"]["credentials_file"] == target
    assert (DEPLOY / source).read_text() == sandbox()["EP_METRICS_KEY"]


def test_grafana_finds_its_sources_and_its_dashboard() -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "datasources.yml").read_text())
    urls = {row["type"]: row["url"] for row in sources["datasources"]}
    assert urls == {"prometheus": "http://prometheus:9090", "jaeger": "http://jaeger:16686"}
    (provider,) = yaml.safe_load((folder / "dashboards" / "dashboards.yml").read_text())[
        "providers"
    ]
    mounts = [v.split(":")[1] for v in SERVICES["grafana"]["volumes"] if "dashboard.json" in v]
    assert [str(Path(mount).parent) for mount in mounts] == [provider["options"]["path"]]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert mounts == [home]
