"""`serve`: start the server."""

import argparse
import logging.config

from policy.decision import decide
from proxy import server
from proxy.availability import available, cli_credentials
from proxy.claude_cli import LOGIN_WARNING
from proxy.cli.check import plain_request
from proxy.service import Configuration, access_of, load_configuration
from proxy.telemetry.metrics.metering import check_metering
from proxy.telemetry.setup import check_telemetry
from translators.errors import NoProvider

__all__ = ["run"]

log = logging.getLogger("execution_platform")

EXAMPLE = """\
curl {url}/v1/chat/completions -H 'content-type: application/json'{key} -d '
  {{"model": "{persona}", "stream": true,
   "messages": [{{"role": "user", "content": "Design a REST API"}}]}}'"""

SANDBOX = """\

The sandbox answers: simulated models behind the real translation path, no key and no network.
Ask it for a tool call, a delay or a failure: write [sandbox tool=get_weather], [sandbox delay=3]
or [sandbox fail=529] into a message; proxy/sandbox/README.md has the list."""


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    configuration = load_configuration()
    check_telemetry(configuration.environment)
    check_metering(configuration.environment)
    if configuration.settings.quality:
        # Imported here: off unless asked for, and then no part of the start-up.
        from proxy.quality.service import check_quality  # noqa: PLC0415

        check_quality(configuration)
    logging.config.dictConfig(server.log_config(configuration.settings))
    listener = server.bind(configuration, insecure=options.insecure_no_auth)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    server.run(configuration, listener, on_started=lambda: _announce(configuration, url))
    return 0


def _announce(configuration: Configuration, url: str) -> None:
    policy, access = configuration.policy, access_of(configuration)
    if not configuration.settings.sandbox:
        for name, credential in cli_credentials(policy, configuration.environment).items():
            if credential.login:
                log.warning("%s %s", name, LOGIN_WARNING)
    served = [name for name in policy.personas if _is_served(configuration, name)]
    print(f"Execution Platform listens on {url}")
    print(f"Personas: {', '.join(policy.personas)}")
    if len(served) < len(policy.personas):
        others = ", ".join(name for name in policy.personas if name not in served)
        print(
            f"\nNobody can serve {others}: `execution-platform check` says what is missing. "
            "With --sandbox all of them answer, without keys."
        )
    if configuration.settings.sandbox:
        print(SANDBOX)
    if served:
        print("\nTry:")
        key = "" if access.open else " -H 'authorization: Bearer YOUR-CLIENT-KEY'"
        print(EXAMPLE.format(url=url, key=key, persona=served[0]))
    shown_key = "anything" if access.open else "YOUR-CLIENT-KEY"
    print(f"\nPoint your tool at it: base_url={url}/v1 api_key={shown_key}", flush=True)


def _is_served(configuration: Configuration, persona: str) -> bool:
    sandbox = configuration.settings.sandbox
    reasons = available(configuration.policy, configuration.environment, sandbox=sandbox)
    try:
        decide(plain_request(persona), configuration.policy, reasons)
    except NoProvider:
        return False
    return True
