"""The chart: what Helm makes of it is right by Kubernetes' schemas, confined, and fits together."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs]
import pytest
import yaml

from proxy.config import load_policy, load_settings
from tests.deploy.chart import CHART, ENGINES, Engine, Refused, documents
from tests.deploy.parts import need
from tests.prometheus_server import prometheus_missing

KEYS = {"existingSecret": "keys"}
POLICY = """\
personas:
  translator:
    description: "{{ Translates }}"
    provider_preferences: [openai]
    system_prompt_file: translator.md
"""
EVERYTHING: Mapping[str, Any] = {
    "image": {"repository": "registry.example/ep", "digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "registry"}],
    "secrets": {"EP_CLIENT_KEYS": "one,two", "EP_METRICS_KEY": "three", "EP_OPENAI_API_KEY": "4"},
    "policyFiles": {"policy.yaml": POLICY, "translator.md": "Translate.\n\nNothing else.\n"},
    "config": {"EP_SANDBOX": "1", "EP_HEARTBEAT": 5, "EP_STRICT": True},
    "workers": 2,
    "drainTimeout": 120,
    "preStopSeconds": 7,
    "tracing": {"endpoint": "http://otel-collector.observability:4318"},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
        "hosts": ["models.example"],
        "tls": [{"secretName": "tls", "hosts": ["models.example"]}],
    },
    "serviceAccount": {"annotations": {"iam.example/role": "models"}},
    "autoscaling": {"enabled": True},
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"name": "tools"}}}],
        "extraEgress": [{"ports": [{"port": 6379, "protocol": "TCP"}]}],
    },
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "models"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "priorityClassName": "high",
    "shareProcessNamespace": True,
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
}
LITTLE: Mapping[str, Any] = {
    **KEYS,
    "preStopSeconds": 0,
    "serviceAccount": {"create": False},
    "podDisruptionBudget": {"enabled": False},
    "networkPolicy": {"enabled": False},
    "fullnameOverride": "models",
}
SETS: Mapping[str, Mapping[str, Any]] = {"keys": KEYS, "everything": EVERYTHING, "little": LITTLE}
CUSTOM = ("ServiceMonitor", "PrometheusRule")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


def made(engine: Engine, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the chart makes, by kind; the pod that tests a release aside."""
    found = list(documents(engine.render(values)))
    return {one["kind"]: one for one in found if one["kind"] != "Pod"}


@pytest.mark.parametrize("name", SETS)
def test_helm_finds_nothing_wrong_with_it(engine: Engine, name: str) -> None:
    assert engine.lint(SETS[name]) == []


@pytest.mark.parametrize("version", ["1.29", "1.34", "1.37"])
@pytest.mark.parametrize("name", SETS)
def test_kubernetes_knows_all_that_it_makes(engine: Engine, name: str, version: str) -> None:
    found = [one for one in documents(engine.render(SETS[name])) if one["kind"] not in CUSTOM]
    assert len(found) >= 3
    for one in found:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_see_a_key_that_is_not_known(engine: Engine) -> None:
    deployment = made(engine, KEYS)["Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, "1.34", strict=True)


def test_what_is_made_follows_the_values(engine: Engine) -> None:
    always = {"Deployment", "Service"}
    usual = always | {"ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"}
    more = {"ConfigMap", "Secret", "Ingress", "HorizontalPodAutoscaler", *CUSTOM}
    assert set(made(engine, LITTLE)) == always
    assert set(made(engine, KEYS)) == usual
    assert set(made(engine, EVERYTHING)) == usual | more


@pytest.mark.skipif(len(ENGINES) < 2, reason="there is no helm here to compare the wheel with")
@pytest.mark.parametrize("name", SETS)
def test_both_engines_make_the_same(name: str) -> None:
    one, other = (list(documents(engine.render(SETS[name]))) for engine in ENGINES.values())
    assert sorted(one, key=repr) == sorted(other, key=repr)


def pod(engine: Engine, values: Mapping[str, Any]) -> dict[str, Any]:
    return made(engine, values)["Deployment"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", SETS)
def test_a_pod_may_little(engine: Engine, name: str) -> None:
    found = list(documents(engine.render(SETS[name])))
    specs = [one["spec"] for one in found if one["kind"] == "Pod"]
    specs += [one["spec"]["template"]["spec"] for one in found if one["kind"] == "Deployment"]
    assert len(specs) == 2, "the server's, and the one that tests a release"
    for spec in specs:
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", SETS)
def test_it_is_probed_and_gets_the_time_to_end(engine: Engine, name: str) -> None:
    spec = pod(engine, SETS[name])
    (container,) = spec["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert set(paths.values()) == {"/healthz", "/readyz"}
    assert paths["readinessProbe"] == "/readyz"
    pause = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [0])
    drain = variables(container)["EP_DRAIN_TIMEOUT"]
    assert spec["terminationGracePeriodSeconds"] >= int(pause[-1]) + float(drain) + 5


def variables(container: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


@pytest.mark.parametrize("name", SETS)
def test_the_server_takes_the_variables_that_it_gets(engine: Engine, name: str) -> None:
    (container,) = pod(engine, SETS[name])["containers"]
    given = variables(container)
    assert len({one["name"] for one in container["env"]}) == len(container["env"])
    settings = load_settings({k: v for k, v in given.items() if k.startswith("EP_")})
    assert (settings.host, settings.port) == ("0.0.0.0", container["ports"][0]["containerPort"])
    assert settings.workers == SETS[name].get("workers", 1)


def test_the_policy_in_the_config_map_is_read_where_it_is_mounted(
    engine: Engine, tmp_path: Path
) -> None:
    found = made(engine, EVERYTHING)
    for name, text in found["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    assert found["ConfigMap"]["data"] == EVERYTHING["policyFiles"]
    assert load_policy(tmp_path / "policy.yaml", {}).personas["translator"].system_prompt
    spec = pod(engine, EVERYTHING)
    (container,) = spec["containers"]
    folder = Path(variables(container)["EP_POLICY"]).parent
    (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == str(folder)]
    assert "subPath" not in mount, "what is mounted by subPath never changes"
    (volume,) = [one for one in spec["volumes"] if one["name"] == mount["name"]]
    assert volume["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]


def test_a_policy_restarts_nothing_and_a_setting_does(engine: Engine) -> None:
    def annotations(**more: Any) -> dict[str, str]:
        return made(engine, {**EVERYTHING, **more})["Deployment"]["spec"]["template"]["metadata"][
            "annotations"
        ]

    other = {**EVERYTHING["policyFiles"], "policy.yaml": POLICY + "\n"}
    assert annotations() == annotations(policyFiles=other)
    assert annotations() != annotations(config={"EP_SANDBOX": "0"})
    assert annotations() != annotations(secrets={**EVERYTHING["secrets"], "EP_CLIENT_KEYS": "x"})


def test_labels_and_ports_lead_to_the_pods(engine: Engine) -> None:
    found = made(engine, EVERYTHING)
    template = found["Deployment"]["spec"]["template"]
    labels, (container,) = template["metadata"]["labels"], template["spec"]["containers"]
    selectors = [
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    (port,), (service,) = container["ports"], found["Service"]["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    (rule,) = found["Ingress"]["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == found["Service"]["metadata"]["name"]
    assert backend["port"]["name"] == service["name"]
    scaled = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert scaled["name"] == found["Deployment"]["metadata"]["name"]
    assert "replicas" not in found["Deployment"]["spec"]
    assert template["spec"]["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]


def test_prometheus_finds_the_metrics_and_sends_the_key(engine: Engine) -> None:
    """There is no schema of ServiceMonitor in a package that fits: its fields are compared here."""
    found = made(engine, EVERYTHING)
    monitor = found["ServiceMonitor"]
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(monitor["spec"]) == {"selector", "endpoints"}
    service = found["Service"]
    chosen = monitor["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    secret = found["Secret"]
    assert endpoint == {
        "port": service["spec"]["ports"][0]["name"],
        "path": "/metrics",
        "interval": "15s",
        "authorization": {
            "type": "Bearer",
            "credentials": {"name": secret["metadata"]["name"], "key": "EP_METRICS_KEY"},
        },
        "relabelings": [
            {"action": "replace", "targetLabel": "job", "replacement": "execution-platform"}
        ],
    }
    assert "EP_METRICS_KEY" in secret["stringData"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_rules_reach_prometheus_as_they_are(engine: Engine, tmp_path: Path) -> None:
    rule = made(engine, EVERYTHING)["PrometheusRule"]
    shipped = yaml.safe_load((CHART / "files" / "rules.yml").read_text())
    assert rule["spec"] == shipped, "templates of alerts are Prometheus', not Helm's"
    need(prometheus_missing())
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rule["spec"]))
    asked = ["promtool", "check", "rules", str(tmp_path / "rules.yml")]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_pods_reach_names_https_the_collector_and_what_is_asked_for(engine: Engine) -> None:
    def ports(values: Mapping[str, Any]) -> set[int]:
        rules = made(engine, values)["NetworkPolicy"]["spec"]["egress"]
        return {port["port"] for rule in rules for port in rule["ports"]}

    assert ports(KEYS) == {53, 443}
    assert ports(EVERYTHING) == {53, 443, 4318, 6379}
    (asked,) = made(engine, EVERYTHING)["NetworkPolicy"]["spec"]["ingress"]
    assert asked["from"][:-1] == EVERYTHING["networkPolicy"]["ingressFrom"]


def test_keys_are_in_the_secret_alone(engine: Engine) -> None:
    texts = engine.render({**EVERYTHING, **NO_METRICS, "secrets": {"EP_CLIENT_KEYS": "kept-c1d5"}})
    holders = [name for name, text in texts.items() if "kept-c1d5" in text]
    assert holders == ["templates/secret.yaml"]
    (source,) = pod(engine, KEYS)["containers"][0]["envFrom"]
    assert source == {"secretRef": {"name": "keys"}}


NO_METRICS: Mapping[str, Any] = {"metrics": {"serviceMonitor": {"enabled": False}}}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "Without client keys the server serves nobody"),
        ({**KEYS, "secrets": {"EP_CLIENT_KEYS": "a"}}, "not both"),
        ({**KEYS, "policyFiles": {"prompt.md": "a"}}, "policyFiles needs a file policy.yaml"),
        ({**KEYS, "config": {"EP_OPENAI_API_KEY": "a"}}, "EP_OPENAI_API_KEY is a secret"),
        ({**KEYS, "config": {"EP_REDIS_URL": "a"}}, "EP_REDIS_URL is a secret"),
        ({**KEYS, "config": {"EP_PORT": "1"}}, "EP_PORT is what the chart sets itself"),
        ({**KEYS, "config": {"HTTPS_PROXY": "http://u:p@proxy:3128"}}, "holds a password"),
        ({**KEYS, "ingress": {"enabled": True}}, "name at least one host"),
        ({**KEYS, "replicas": 3}, "replicas"),
        ({**KEYS, "image": {"digest": "latest"}}, "digest"),
        ({**KEYS, "drainTimeout": "30s"}, "drainTimeout"),
        ({**KEYS, "tracing": {"endpoint": "collector:4318"}}, "endpoint"),
        (
            {
                "secrets": {"EP_CLIENT_KEYS": "a"},
                "metrics": {"serviceMonitor": {"enabled": True}},
            },
            "metrics.serviceMonitor needs EP_METRICS_KEY",
        ),
    ],
)
def test_values_that_cannot_work_are_refused(
    engine: Engine, values: dict[str, Any], says: str
) -> None:
    with pytest.raises(Refused, match=re.escape(says)):
        engine.render(values)


@pytest.mark.parametrize(
    ("given", "read"),
    [(33554432, "33554432"), (1000000, "1000000"), (0.5, "0.5"), (True, "true"), ("a", "a")],
)
def test_a_number_is_written_as_the_server_reads_it(engine: Engine, given: Any, read: str) -> None:
    container = pod(engine, {**KEYS, "config": {"EP_DECISIONS": given}})["containers"][0]
    assert {"name": "EP_DECISIONS", "value": read} in container["env"]


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("http://collector:4318", 4318),
        ("http://10.0.0.5", 80),
        ("http://tempo-2/otlp", 80),
        ("https://collector.example", None),
    ],
)
def test_the_network_policy_lets_traces_out(
    engine: Engine, endpoint: str, port: int | None
) -> None:
    policy = made(engine, {**KEYS, "tracing": {"endpoint": endpoint}})["NetworkPolicy"]
    opened = {entry["port"] for rule in policy["spec"]["egress"] for entry in rule["ports"]}
    assert opened == {53, 443} | ({port} if port is not None else set())


@pytest.mark.parametrize("name", ["keys", "everything"])
def test_the_pod_that_tests_a_release_is_let_in_and_is_no_server(engine: Engine, name: str) -> None:
    found = list(documents(engine.render(SETS[name])))
    (test,) = [one for one in found if one["kind"] == "Pod"]
    labels = test["metadata"]["labels"]
    policy = made(engine, SETS[name])["NetworkPolicy"]["spec"]
    servers = policy["podSelector"]["matchLabels"]
    assert not servers.items() <= labels.items()
    (rule,) = policy["ingress"]
    let_in = [
        one["podSelector"]["matchLabels"] for one in rule.get("from", []) if "podSelector" in one
    ]
    assert ("from" not in rule) or any(one.items() <= labels.items() for one in let_in)


def test_every_value_is_in_the_table_and_the_schema_and_the_reverse() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]) - {"global"} == set(defaults)
    rows = re.findall(r"^\| (`.*?) \|", (CHART / "README.md").read_text(), re.MULTILINE)
    named = re.findall(r"`([A-Za-z.]+)`", " ".join(rows))
    assert {name.partition(".")[0] for name in named if name[0] != "."} == set(defaults)


def test_the_chart_is_of_this_version() -> None:
    said = yaml.safe_load((CHART / "Chart.yaml").read_text())
    asked = [sys.executable, "-m", "proxy", "--version"]
    version = subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout.strip()
    assert said["appVersion"] == version
