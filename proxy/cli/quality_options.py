"""The options of `quality` and of its commands."""

import argparse

__all__ = ["QUALITY", "add_quality_options"]

EPILOGUE = """\
A run of tests is submitted as a suite; the quality gates say whether it is good enough:

  execution-platform quality submit --project shop report.xml
  execution-platform quality gates --project shop SUITE
  execution-platform quality history shop
  pytest -p execution_platform_pytest --quality-project shop --quality-enforce

Without --url (EP_QUALITY_URL) no server is needed: the suites are in a file, by default below
$XDG_STATE_HOME or ~/.local/state. `quality serve` serves that file to others; with EP_QUALITY=1
`serve` does so, too. A server's client key is read from EP_API_KEY.

Gates are YAML, named by --gates (EP_QUALITY_GATES); these are the default:

  quality_gates:
    success_rate:     {threshold: 99.0, operator: ">="}   # per cent of those that ran
    average_duration: {threshold: 5000, operator: "<="}   # milliseconds
    error_rate:       {threshold: 1.0, operator: "<="}    # per cent of those that ran
"""


QUALITY = "keep the results of test runs, and judge them by quality gates"
"""What the command is for."""


def add_quality_options(quality: argparse.ArgumentParser) -> None:
    """Describe `quality`, and add the commands of its own."""
    quality.description = "Keeps the results of test runs, and judges them by quality gates."
    quality.epilog = EPILOGUE
    quality.formatter_class = argparse.RawDescriptionHelpFormatter
    quality.set_defaults(command="quality")
    own = quality.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, summary: str) -> argparse.ArgumentParser:
        description = summary[0].upper() + summary[1:] + "."
        made = own.add_parser(name, help=summary, description=description)
        made.set_defaults(action=name)
        _file_options(made)
        return made

    _serve_options(command("serve", "serve the database to others, below /quality"))
    submit = command(
        "submit",
        "submit a suite and print what the gates say; the status is 1 where one does not pass",
    )
    submit.add_argument(
        "file", metavar="FILE", help="a suite as JSON, or a JUnit report (- for standard input)"
    )
    submit.add_argument("--project", help="the project (default: the `project` in a JSON suite)")
    submit.add_argument("--suite", metavar="NAME", help="the name (default: the one in the file)")
    submit.add_argument("--id", help="the id (default: the one in the file, else one is made)")
    gates = command(
        "gates",
        "print what the gates say of a suite; the status is 1 where one does not pass",
    )
    gates.add_argument("suite", metavar="SUITE", help="the id of the suite")
    gates.add_argument("--project", required=True, help="its project")
    history = command("history", "list a project's last suites, and where they are going")
    history.add_argument("project", metavar="PROJECT", help="the project")
    history.add_argument("--last", type=int, default=20, metavar="N", help="how many (default 20)")
    history.add_argument("--suite", metavar="NAME", help="only suites of this name")
    for client in (submit, gates, history):
        _client_options(client)


def _file_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--db", dest="quality_db", metavar="FILE", help="the database (default: EP_QUALITY_DB)"
    )
    parser.add_argument(
        "--gates",
        dest="quality_gates",
        metavar="FILE",
        help="the gates, as YAML (default: EP_QUALITY_GATES, else those of `quality --help`)",
    )


def _client_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        dest="quality_url",
        help="a server, for instance http://127.0.0.1:8080 (default: EP_QUALITY_URL, else the "
        "file); its client key is read from EP_API_KEY",
    )
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def _serve_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--policy", metavar="FILE", help="policy file with client keys (default: EP_POLICY)"
    )
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default 8080; 0: any)")
    serve.add_argument("--workers", type=int, metavar="N", help="server processes (default 1)")
    serve.add_argument(
        "--insecure-no-auth",
        action="store_true",
        help="without client keys, listen on other addresses than loopback all the same",
    )
