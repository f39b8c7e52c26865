"""A policy in a ConfigMap: kubelet swaps it, and the server takes it up without a restart."""

import json
import urllib.request
from pathlib import Path

from tests.serving import Proxy, wait_until


class ConfigMap:
    """A mounted one: files link into `..data`, which links to a folder that is never changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._version = 0

    def put(self, **files: str) -> None:
        """Swap all files at once, by renaming one link."""
        self._version += 1
        version = self._folder / f"..2026_11_30_{self._version}"
        version.mkdir()
        for name, text in files.items():
            (version / f"{name}.yaml").write_text(text)
        link = self._folder / "..data_tmp"
        link.symlink_to(version.name)
        link.replace(self._folder / "..data")
        for name in files:
            file = self._folder / f"{name}.yaml"
            if not file.is_symlink():
                file.symlink_to(Path("..data", file.name))


def policy(persona: str) -> str:
    return f"personas: {{{persona}: {{provider_preferences: [openai]}}}}\n"


def test_a_swapped_config_map_is_served_by_the_same_process(tmp_path: Path) -> None:
    mounted = ConfigMap(tmp_path)
    mounted.put(policy=policy("before"))
    arguments = ["--sandbox", "--policy", str(tmp_path / "policy.yaml")]
    with Proxy(*arguments, env={"EP_POLICY_RELOAD": "0.1"}) as server:

        def personas() -> list[str]:
            with urllib.request.urlopen(f"{server.url}/v1/models", timeout=10) as answer:
                return [row["id"] for row in json.load(answer)["data"]]

        def problem() -> str | None:
            with urllib.request.urlopen(f"{server.url}/readyz", timeout=10) as answer:
                return json.load(answer).get("policy", {}).get("error")

        assert personas() == ["before"]
        mounted.put(policy=policy("after"))
        wait_until(lambda: personas() == ["after"], 20)
        mounted.put(policy="personas: 3\n")
        wait_until(lambda: problem() is not None, 20)
        assert personas() == ["after"], "a wrong one changes nothing"
        mounted.put(policy=policy("mended"))
        wait_until(lambda: personas() == ["mended"], 20)
        assert problem() is None
        assert server.running
