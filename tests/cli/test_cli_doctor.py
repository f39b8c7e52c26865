"""`doctor`: what keeps it from working is found, with what to do, and no secret is told."""

import json
import os
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.diagnosis.asked import ASK_SECONDS
from proxy.cli.diagnosis.claude import VERSION_SECONDS
from proxy.cli.diagnosis.network import HEAD_SECONDS, REACH_SECONDS
from proxy.redis_entries import WRITE_SECONDS
from proxy.sandbox.app import create_sandbox
from tests.cli.command import Done, Terminal, pipe
from tests.clouds import in_thread
from tests.providers import closed_port, deaf_port
from tests.redis_server import RedisServer
from tests.serving import Proxy, clean_environment

Run = Callable[..., Done]
Found = Mapping[str, Mapping[str, Any]]

CANARY = "canary-4f7a19c2"


def found(done: Done) -> Found:
    """Return the findings by name and subject; nothing else may be on standard output."""
    document = json.loads(done.out)
    assert set(document) == {"version", "status", "findings"}
    for finding in document["findings"]:
        assert set(finding) == {"name", "subject", "status", "found", "remedy"}
        assert finding["status"] in ("ok", "warning", "failed", "skipped")
        assert finding["found"]
        if finding["status"] in ("warning", "failed"):
            assert finding["remedy"], finding
    failed = any(finding["status"] == "failed" for finding in document["findings"])
    assert done.status == (1 if failed else 0)
    assert (document["status"] == "failed") is failed
    return {f"{f['name']} {f['subject'] or ''}".strip(): f for f in document["findings"]}


def policy_of(tmp_path: Path, **urls: str) -> str:
    """Write a policy with a provider for each URL, all of them preferred by one persona."""
    rows = {
        name: {"dialect": "openai_chat", "base_url": url, "api_key_env": "SOME_KEY", "model": "m"}
        for name, url in urls.items()
    }
    path = tmp_path / "policy.yaml"
    persona = {"provider_preferences": list(urls)}
    path.write_text(json.dumps({"providers": rows, "personas": {"p": persona}}))
    return str(path)


def doctor(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Found:
    done = pipe("doctor", "--json", *arguments, env={"SOME_KEY": CANARY, **(env or {})}, cwd=cwd)
    assert done.err == ""
    assert CANARY not in done.out
    return found(done)


@contextmanager
def answering(answer: bytes) -> Generator[int]:
    """Yield the port of a server that says the same to everybody."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_sandbox_run_has_all_it_needs(tmp_path: Path) -> None:
    findings = doctor("--sandbox", "--live", env={"EP_PORT": str(closed_port())}, cwd=tmp_path)
    for name in ("openai", "anthropic", "gemini"):
        assert findings[f"reachability {name}"]["status"] == "ok"
        assert findings[f"live {name}"]["found"] == "it takes the key"
    assert findings["clock"]["status"] == findings["personas"]["status"] == "ok"
    assert "provider local" not in findings
    every = doctor("--sandbox", "--offline", "--all", env={"EP_PORT": "0"}, cwd=tmp_path)
    assert every["provider local"]["status"] == "ok"
    assert every["reachability"]["status"] == "skipped"


def test_the_table_has_a_line_for_each_finding_with_its_remedy(run: Run) -> None:
    done = run("doctor", "--offline")
    assert done.status == 1
    (line,) = [line for line in done.out.splitlines() if "provider openai" in line]
    assert line.startswith("warning") and "Set EP_OPENAI_API_KEY or OPENAI_API_KEY." in line
    assert "no provider satisfies requirements for persona architect" in done.out
    assert done.err == ""


def test_a_wrong_policy_is_a_finding_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("personas:\n  a:\n    provider_preferences: [opnai]\n    requires: [no]\n")
    env = {"EP_PRT": "1", "EP_TIMEOUT": "soon", "EP_PORT": "0", "EP_OPENAI_API_KEY": CANARY}
    findings = doctor("--offline", "--policy", str(path), env=env, cwd=tmp_path)
    wrong = findings[f"policy {path}:3"]
    assert "personas.a.provider_preferences[0]: unknown provider `opnai`" in wrong["found"]
    assert "`openai`" in wrong["remedy"]
    assert findings[f"policy {path}:4"]["status"] == "failed"
    assert "EP_PORT" in findings["configuration EP_PRT"]["found"]
    assert "seconds" in findings["configuration EP_TIMEOUT"]["found"]
    # The shipped policy stands in, and the key that is right counts.
    assert findings["provider openai"]["status"] == "ok"
    assert findings["open files"] and findings["temporary files"]


def test_a_dot_env_file_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"EP_PORT=0\nEP_OPENAI_API_KEY {CANARY}\n")
    findings = doctor("--offline", cwd=tmp_path)
    assert ".env:2" in findings["configuration .env"]["found"]


def test_no_secret_is_told(tmp_path: Path) -> None:
    """Not even where a server says it, and not in the table."""
    body = json.dumps({"error": {"message": f"wrong key {CANARY}"}}).encode()
    head = b"HTTP/1.1 401 No\r\ncontent-type: application/json\r\nconnection: close\r\n"
    answer = head + b"content-length: %d\r\n\r\n" % len(body) + body
    with answering(answer) as port:
        path = policy_of(tmp_path, one=f"http://127.0.0.1:{port}/v1")
        env = {
            "SOME_KEY": f"'{CANARY}'",
            "EP_CLIENT_KEYS": CANARY,
            "EP_REDIS_URL": f"redis://user:{CANARY}@127.0.0.1:{closed_port()}/0",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{CANARY}@127.0.0.1:{closed_port()}",
            "HTTPS_PROXY": f"http://user:{CANARY}@127.0.0.1:{closed_port()}",
        }
        findings = doctor("--live", "--policy", path, env=env, cwd=tmp_path)
        table = pipe("doctor", "--live", "--policy", path, env=env, cwd=tmp_path)
    assert "holds quotes" in findings["key one"]["found"]
    assert findings["live one"]["status"] == "failed"
    assert "SOME_KEY" in findings["live one"]["remedy"]
    assert "Connection refused" in findings["redis"]["found"]
    assert "Connection refused" in findings["tracing"]["found"]
    assert "one" in table.out and CANARY not in table.out + table.err


def test_servers_that_are_silent_are_waited_for_together(tmp_path: Path) -> None:
    """Thirty of them, one after the other, would take longer than the process is given."""
    with ExitStack() as stack:
        deaf = stack.enter_context(deaf_port())
        urls = {f"deaf{i}": f"https://127.0.0.1:{deaf}/v1" for i in range(30)}
        findings = doctor("--live", "--policy", policy_of(tmp_path, **urls), cwd=tmp_path)
    for name in urls:
        said = findings[f"reachability {name}"]
        assert said["status"] == "failed"
        assert f"no connection within {REACH_SECONDS:g} s" in said["found"]
    assert max(REACH_SECONDS + max(HEAD_SECONDS, WRITE_SECONDS), VERSION_SECONDS) + ASK_SECONDS < 9


def test_name_connection_and_tls_are_told_apart(tmp_path: Path) -> None:
    with answering(b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n") as plain:
        path = policy_of(
            tmp_path,
            name="https://no-such-host.invalid/v1",
            closed=f"http://127.0.0.1:{closed_port()}/v1",
            plain=f"https://127.0.0.1:{plain}/v1",
        )
        findings = doctor("--policy", path, cwd=tmp_path)
    assert "name servers" in findings["reachability name"]["remedy"]
    assert "Connection refused" in findings["reachability closed"]["found"]
    assert "does not speak TLS" in findings["reachability plain"]["found"]
    assert "forward proxy" not in findings


def test_what_is_behind_a_forward_proxy_is_reached_through_it(tmp_path: Path) -> None:
    with answering(b"") as proxy:
        path = policy_of(
            tmp_path,
            behind="https://no-such-host.invalid/v1",
            lost="http://no-such-host.invalid/v1",
        )
        closed = f"127.0.0.1:{closed_port()}"
        env = {"HTTPS_PROXY": f"http://me:{CANARY}@127.0.0.1:{proxy}", "HTTP_PROXY": closed}
        findings = doctor("--policy", path, cwd=tmp_path, env=env)
    behind, lost = findings["reachability behind"], findings["reachability lost"]
    assert behind["status"] == "ok"
    assert f"behind the forward proxy 127.0.0.1:{proxy}" in behind["found"]
    assert lost["status"] == "failed"
    assert f"through the forward proxy {closed}: Connection refused" in lost["found"]
    assert "NO_PROXY" in lost["remedy"]
    assert f"127.0.0.1:{proxy}" in findings["forward proxy"]["found"]
    assert CANARY not in str(findings)


def test_a_forward_proxy_that_cannot_be_used(tmp_path: Path) -> None:
    path = policy_of(tmp_path, one="https://no-such-host.invalid/v1")
    env = {"ALL_PROXY": f"socks5://me:{CANARY}@proxy.example:1080"}
    findings = doctor("--policy", path, cwd=tmp_path, env=env)
    assert findings["forward proxy"]["status"] == "failed"
    assert "ALL_PROXY names a proxy of the kind socks5://" in findings["reachability one"]["found"]
    assert CANARY not in str(findings)


def test_a_clock_that_is_wrong(tmp_path: Path) -> None:
    date = b"date: Tue, 01 Jan 2030 00:00:00 GMT\r\n"
    with answering(b"HTTP/1.1 404 No\r\n" + date + b"content-length: 0\r\n\r\n") as port:
        path = policy_of(tmp_path, one=f"http://127.0.0.1:{port}/v1")
        findings = doctor("--policy", path, cwd=tmp_path)
    assert findings["clock"]["status"] == "failed"
    assert "behind that of one" in findings["clock"]["found"]


def test_a_key_that_is_refused_is_told_by_live_alone(tmp_path: Path) -> None:
    with in_thread(create_sandbox()) as url:
        path = tmp_path / "p.yaml"
        persona = "personas: {p: {provider_preferences: [anthropic]}}"
        path.write_text(f"providers: {{anthropic: {{base_url: '{url}/anthropic'}}}}\n{persona}\n")
        env = {"ANTHROPIC_API_KEY": "sk-ant-invalid-9d1f", "EP_PORT": "0"}
        without = doctor("--policy", str(path), env=env, cwd=tmp_path)
        asked = doctor("--policy", str(path), "--live", env=env, cwd=tmp_path)
    assert without["reachability anthropic"]["status"] == "ok"
    assert asked["live anthropic"]["status"] == "failed"
    assert "it refuses the key (HTTP status 401)" in asked["live anthropic"]["found"]


def test_redis_that_refuses_the_password(tmp_path: Path) -> None:
    with RedisServer() as redis:
        right = doctor("--offline", env={"EP_REDIS_URL": redis.url}, cwd=tmp_path)
        assert right["extra redis"]["status"] == "ok"
        right = doctor("--sandbox", env={"EP_REDIS_URL": redis.url}, cwd=tmp_path)
        assert right["redis"]["status"] == "ok"
        wrong = f"redis://:{CANARY}@127.0.0.1:{redis.port}/0"
        refused = doctor("--sandbox", env={"EP_REDIS_URL": wrong}, cwd=tmp_path)
        assert "does not take the user and the password" in refused["redis"]["found"]


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317"}, "4318"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "4317",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector"}, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"),
    ],
)
def test_tracing_that_goes_nowhere(run: Run, env: Mapping[str, str], words: str) -> None:
    finding = found(run("doctor", "--json", "--offline", env=env))["tracing"]
    assert finding["status"] in ("warning", "failed")
    assert words in finding["found"] + finding["remedy"]


def test_the_address(run: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {"EP_PORT": str(taken.getsockname()[1])}
        findings = found(run("doctor", "--json", "--offline", env=env))
    (address,) = [f for name, f in findings.items() if name.startswith("address")]
    assert address["status"] == "failed" and "EP_PORT" in address["remedy"]
    with Proxy("--sandbox") as ours:
        findings = doctor("--offline", env={"EP_PORT": str(ours.port)}, cwd=tmp_path)
    (address,) = [f for name, f in findings.items() if name.startswith("address")]
    assert address["status"] == "ok" and "already" in address["found"]
    # Of the port that was taken: on the default one another server may listen.
    findings = found(run("doctor", "--json", "--offline", env={**env, "EP_HOST": "0.0.0.0"}))
    assert "EP_CLIENT_KEYS" in findings[f"address 0.0.0.0:{env['EP_PORT']}"]["remedy"]


def test_packages_with_our_names_do_not_stop_it(tmp_path: Path) -> None:
    metadata = tmp_path / "translators-6.0.4.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: translators\nVersion: 6.0.4\n")
    paths = os.pathsep.join([str(tmp_path), clean_environment()["PYTHONPATH"]])
    findings = doctor("--offline", env={"PYTHONPATH": paths}, cwd=tmp_path)
    assert "`translators`" in findings["installation"]["found"]
    assert "environment of its own" in findings["installation"]["remedy"]


def test_progress_is_for_terminals(tmp_path: Path) -> None:
    with Terminal("doctor", "--sandbox", cwd=tmp_path) as terminal:
        terminal.expect("Trying to reach openai")
        terminal.expect("to look at.")


def test_offline_and_live_exclude_each_other(run: Run) -> None:
    with pytest.raises(SystemExit) as caught:
        run("doctor", "--offline", "--live")
    assert caught.value.code == 2
