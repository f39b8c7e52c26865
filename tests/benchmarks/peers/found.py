"""Which peers are installed, and how each is told to forward to the upstream."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.serving import ROOT

PEERS_FOLDER = ROOT / "build" / "bench-peers"
"""Beside what else is built: not part of the tree, gone with `make clean`."""

KEY = "sk-bench"
"""What clients show and upstreams are shown; nobody checks it but LiteLLM."""

NGINX = """\
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 8192; use epoll; multi_accept on; }}
http {{
  access_log off; keepalive_requests 1000000; keepalive_timeout 300; client_body_buffer_size 256k;
  client_max_body_size 16m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream provider {{
    server 127.0.0.1:{upstream}; keepalive 2048; keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering on;
    }}
  }}
}}
"""


def nginx_program() -> str | None:
    """Return nginx; None: it is not installed. Debian keeps it off the path of users."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def litellm_program(folder: Path = PEERS_FOLDER) -> str | None:
    """Return LiteLLM's proxy; None: it is not installed."""
    return shutil.which("litellm", path=str(folder / "litellm" / "bin"))


def portkey_program(folder: Path = PEERS_FOLDER) -> str | None:
    """Return the script that Node starts Portkey's gateway with; None: it is not installed."""
    script = folder / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    return str(script) if script.exists() and shutil.which("node") else None


def litellm_configuration(upstream: int) -> str:
    """Return LiteLLM's configuration: a model for each API, named after it."""
    at = f"http://127.0.0.1:{upstream}"
    models: Mapping[str, tuple[str, str]] = {
        "openai": ("openai/gpt-4o-mini", f"{at}/v1"),
        "anthropic": ("anthropic/claude-sonnet-4-5", at),
        "gemini": ("gemini/gemini-2.5-flash", at),
    }
    # JSON is YAML as well.
    return json.dumps(
        {
            "model_list": [
                {
                    "model_name": name,
                    "litellm_params": {"model": model, "api_base": base, "api_key": KEY},
                }
                for name, (model, base) in models.items()
            ],
            "general_settings": {"master_key": KEY},
        }
    )
