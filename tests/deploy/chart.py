"""Renders the chart with Helm: its own Go code, from a wheel (`helm-python-sdk`), or a `helm`.

The wheel is the work of one person, pinned by hash, and 75 MB. It is used in a process of its own,
which gets nothing of this one's environment, and for rendering and linting alone. Where there is a
`helm` on the PATH, the same tests run on that as well: what both make is then the same.
"""

import functools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import yaml

from tests.serving import ROOT

__all__ = ["CHART", "ENGINES", "Engine", "Refused", "documents"]

CHART = ROOT / "deploy" / "helm" / "execution-platform"
RELEASE, NAMESPACE = "shop", "models"

Values = Mapping[str, Any]


class Refused(ValueError):
    """The chart, or its schema, does not take the values; the text says why."""


class Engine(Protocol):
    """What renders a chart."""

    def render(self, values: Values) -> dict[str, str]:
        """Return what each template makes, by the template's name.

        Raises:
            Refused: The values are wrong.
        """
        ...

    def lint(self, values: Values) -> list[str]:
        """Return what is wrong with the chart; hints are not."""
        ...


_IN_THE_WHEEL = """
import json, sys
from helm_python import Chart, HelmError, lint
path, asked = sys.argv[1], json.load(sys.stdin)
try:
    with Chart.load(path) as chart:
        chart.validate_schema(asked["values"])
        made = chart.render(asked["values"], name=asked["name"], namespace=asked["namespace"])
    said = {"made": made, "lint": lint(path, asked["values"], kube_version="v1.34.0")}
except HelmError as error:
    said = {"refused": str(error)}
json.dump(said, sys.stdout)
"""


class _Wheel:
    def render(self, values: Values) -> dict[str, str]:
        said = _asked_of_the_wheel(json.dumps(values))
        if "refused" in said:
            raise Refused(said["refused"])
        prefix = f"{CHART.name}/"
        return {name.removeprefix(prefix): text for name, text in said["made"].items()}

    def lint(self, values: Values) -> list[str]:
        report = _asked_of_the_wheel(json.dumps(values))["lint"]
        messages = [m["error"] for m in report["messages"] if m["severity"] > 1]
        return messages + report["errors"]


@functools.cache
def _asked_of_the_wheel(values: str) -> dict[str, Any]:
    asked = {"values": json.loads(values), "name": RELEASE, "namespace": NAMESPACE}
    done = subprocess.run(
        [sys.executable, "-I", "-c", _IN_THE_WHEEL, str(CHART)],
        input=json.dumps(asked),
        env={"HOME": tempfile.gettempdir()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class _Program:
    """The command `helm`; one that was built without a version takes Kubernetes for an old one."""

    def render(self, values: Values) -> dict[str, str]:
        options = ["--namespace", NAMESPACE, "--kube-version", "1.34.0", "--values", "-"]
        done = _helm("template", RELEASE, str(CHART), *options, values=values)
        if done.returncode != 0:
            raise Refused(done.stderr)
        made: dict[str, str] = {}
        for part in done.stdout.split("---\n# Source: ")[1:]:
            name, _, text = part.partition("\n")
            made[name.removeprefix(f"{CHART.name}/")] = text
        return made

    def lint(self, values: Values) -> list[str]:
        done = _helm("lint", str(CHART), "--strict", "--values", "-", values=values)
        return [] if done.returncode == 0 else [done.stdout + done.stderr]


def _helm(*arguments: str, values: Values) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["helm", *arguments], input=json.dumps(values), capture_output=True, text=True, timeout=60
    )


ENGINES: Mapping[str, Engine] = {
    "wheel": _Wheel(),
    **({"helm": _Program()} if shutil.which("helm") else {}),
}


def documents(made: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield what was made as data, without what is no manifest."""
    for name, text in made.items():
        if Path(name).suffix in (".yaml", ".yml"):
            yield from (cast(dict[str, Any], one) for one in yaml.safe_load_all(text) if one)
