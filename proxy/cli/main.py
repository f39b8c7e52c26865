"""`execution-platform`: the commands and their options.

What is imported here every command needs, `--help` as well; the rest comes with the command.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from policy.errors import PolicyError
from proxy import __version__
from proxy.cli.installation import check_installation
from proxy.cli.quality_options import QUALITY, add_quality_options
from proxy.environment import ConfigurationError
from proxy.garbage import few_collections
from proxy.telemetry.variables import TelemetryError
from translators.errors import ExecutionPlatformError

__all__ = ["main"]

DESCRIPTION = """\
Serves personas - named jobs with a prompt, parameters and a list of providers - to any program
that speaks OpenAI's Chat Completions API.
"""

EPILOGUE = """\
Settings come from options, then from EP_* variables, then from a .env file in the working
directory. Providers' keys: EP_OPENAI_API_KEY or OPENAI_API_KEY, EP_ANTHROPIC_API_KEY or
ANTHROPIC_API_KEY. `.env.example` in the source lists all of them.

Try it without any key:   execution-platform serve --sandbox
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 for wrong configuration, 2 for wrong use."""
    try:
        try:
            return _run(arguments)
        finally:
            # Here, where a closed pipe is an exception, and not a complaint at the very end.
            sys.stdout.flush()
    except (PolicyError, ConfigurationError, TelemetryError) as error:
        print(f"execution-platform: the configuration is wrong.\n{error}", file=sys.stderr)
        return 1
    except ExecutionPlatformError as error:
        print(f"execution-platform: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `… | head` closed the pipe: nobody reads on, and that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    if options.command != "doctor":
        # It tells that, too, beside what else it finds.
        check_installation()
    _to_environment(options)
    # Whatever is installed could look on while pydantic reads requests, policy and keys; finding
    # out that nothing wants to reads the metadata of every package: 8 to 20 ms of the start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with few_collections():
        command = import_module(f"proxy.cli.{options.command}")
        return int(command.run(options))


def _to_environment(options: argparse.Namespace) -> None:
    """Make options into variables: worker processes read the same configuration from them."""
    for name in ("policy", "host", "port", "workers", *_OF_QUALITY):
        value = getattr(options, name, None)
        if value is not None:
            os.environ[f"EP_{name.upper()}"] = str(value)
    for name in ("sandbox", "quality"):
        if getattr(options, name, False):
            os.environ[f"EP_{name.upper()}"] = "1"


_OF_QUALITY = ("quality_url", "quality_db", "quality_gates")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="execution-platform",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--policy", metavar="FILE", help="policy file (default: EP_POLICY, else the shipped one)"
    )
    shared.add_argument(
        "--sandbox",
        action="store_true",
        help="simulated providers inside the process: no key, no network, no cost",
    )

    def command(name: str, summary: str) -> argparse.ArgumentParser:
        description = summary[0].upper() + summary[1:] + "."
        made = commands.add_parser(name, help=summary, description=description, parents=[shared])
        made.set_defaults(command=name)
        return made

    _serve_options(command("serve", "start the server"))
    command("check", "validate policy and environment; say what each persona would use, and why")
    _doctor_options(command("doctor", "say what keeps it from working, and what to do about it"))
    command("personas", "list the personas")
    _explain_options(
        command("explain", "say where a request would go, and why, without calling anybody")
    )
    _models_options(command("models", "list a provider's models, as its API describes them"))
    _tokens_options(
        command("tokens", "count the tokens of a request's prompt, by asking its provider")
    )
    chat = command("chat", "talk to a persona; answers are streamed, /exit or Ctrl-D ends it")
    chat.add_argument("persona", help="the persona to talk to")
    chat.add_argument(
        "--url",
        help="a running server, for instance http://127.0.0.1:8080 (default: in this process); "
        "its client key is read from EP_API_KEY",
    )
    add_quality_options(commands.add_parser("quality", help=QUALITY))
    return parser


def _serve_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default 8080; 0: any)")
    serve.add_argument("--workers", type=int, metavar="N", help="server processes (default 1)")
    serve.add_argument(
        "--quality", action="store_true", help="serve Quality Fabric, too, below /quality"
    )
    serve.add_argument(
        "--insecure-no-auth",
        action="store_true",
        help="without client keys, listen on other addresses than loopback all the same",
    )


def _doctor_options(doctor: argparse.ArgumentParser) -> None:
    network = doctor.add_mutually_exclusive_group()
    network.add_argument("--offline", action="store_true", help="talk to no server")
    network.add_argument(
        "--live",
        action="store_true",
        help="ask each provider for its models, with its key: tells a wrong one",
    )
    doctor.add_argument(
        "--all", action="store_true", help="also the providers that no persona can reach"
    )
    doctor.add_argument("--json", action="store_true", help="one JSON document")


EXPLAINED = """\
Where would a request go?       execution-platform explain architect --request body.json
What became of one, and why?    execution-platform explain --url http://127.0.0.1:8080 \\
                                    --request-id req_5f0c…

The id is the answer's header `x-request-id` (in OpenAI's Python SDK `answer._request_id`), and
`request_id` in the log. A server tells of a request to the client key that made it, and keeps the
last EP_DECISIONS (10000) of them; each replica knows its own.
"""


def _explain_options(explain: argparse.ArgumentParser) -> None:
    explain.formatter_class = argparse.RawDescriptionHelpFormatter
    explain.epilog = EXPLAINED
    explain.add_argument("persona", nargs="?", help="the persona, as in the request's `model`")
    explain.add_argument(
        "--request", metavar="FILE", help="JSON body of a request (- for standard input)"
    )
    explain.add_argument(
        "--url",
        help="a running server, which is asked whom it passes over now (its live gates); its "
        "client key is read from EP_API_KEY",
    )
    explain.add_argument(
        "--request-id",
        metavar="ID",
        help="of a request that the server of --url has served, or is serving: says what became "
        "of each candidate and of each attempt",
    )
    explain.add_argument(
        "--json", action="store_true", help="with --request-id: the server's own JSON document"
    )
    explain.set_defaults(refuse=explain.error)


def _models_options(models: argparse.ArgumentParser) -> None:
    models.add_argument(
        "provider", nargs="?", help="a provider of the Messages API (default: every one with a key)"
    )
    models.add_argument("--json", action="store_true", help="the API's own objects, one list")


def _tokens_options(tokens: argparse.ArgumentParser) -> None:
    tokens.add_argument(
        "file", metavar="FILE", help="JSON body of a request (- for standard input)"
    )
    tokens.add_argument("--persona", help="the persona (default: the request's `model`)")
    tokens.add_argument(
        "--provider", help="one of the persona's providers (default: the one that would be asked)"
    )
    tokens.add_argument("--json", action="store_true", help="one JSON object")


if __name__ == "__main__":
    sys.exit(main())
