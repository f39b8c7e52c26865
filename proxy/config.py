"""Configuration: the environment, read once, and the policy file, before it is served."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from policy import build
from policy.document import Document, parse
from policy.errors import PolicyError
from policy.schema import Policy
from policy.spelling import did_you_mean, listed
from proxy.cloud import in_place
from proxy.environment import (
    ConfigurationError,
    is_key_name,
    load_environment,
    non_empty,
    unknown_variables,
)
from proxy.http_client.options import CLIENTS, ClientKind

__all__ = [
    "ConfigurationError",
    "SETTINGS",
    "Settings",
    "load_environment",
    "load_policy",
    "load_settings",
]

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says about the server; times in seconds.

    Attributes:
        policy: The policy file (`EP_POLICY`); None: the shipped one.
        policy_reload: How often it is looked whether that has changed; 0: only on SIGHUP
            (`EP_POLICY_RELOAD`).
        host: The address to listen on (`EP_HOST`).
        port: The port (`EP_PORT`); 0: any that is free.
        workers: Server processes (`EP_WORKERS`).
        timeout: The longest wait for an answer to begin, and for a whole answer that is not
            streamed, across all attempts (`EP_TIMEOUT`).
        client_keys: The keys that clients may use (`EP_CLIENT_KEYS`).
        heartbeat: A stream's silence after which a comment is sent, and between two of them;
            0: never (`EP_HEARTBEAT`).
        max_body_bytes: The largest request body (`EP_MAX_BODY_BYTES`).
        body_timeout: The longest wait for a request's head, and for its body (`EP_BODY_TIMEOUT`).
        drain_timeout: How long open answers may go on after SIGTERM (`EP_DRAIN_TIMEOUT`).
        sandbox: Whether the simulated providers stand in for the real ones (`EP_SANDBOX`).
        strict: Overrides the policy's `strict`; None: as the policy says (`EP_STRICT`).
        default_provider: Overrides the policy's (`EP_DEFAULT_PROVIDER`).
        log_level: Of `LOG_LEVELS` (`EP_LOG_LEVEL`).
        log_format: Of the log (`EP_LOG_FORMAT`); `auto`: text on a terminal, else JSON.
        decisions: How many requests a server process keeps the records of; 0: none
            (`EP_DECISIONS`).
        trace_content_bytes: Of each attribute that holds content, where that is captured
            (`EP_TRACE_CONTENT_BYTES`).
        redis_url: Where server processes share the reasoning of models (`EP_REDIS_URL`); None:
            each keeps its own.
        metrics: Whether there is `GET /metrics` (`EP_METRICS`).
        metrics_key: What whoever scrapes it has to send (`EP_METRICS_KEY`).
        metrics_open: Whether anybody may see it (`EP_METRICS_OPEN`). With neither of the two it is
            shown only where there are no client keys.
        http_client: Which HTTP client asks the providers, of `CLIENTS` (`EP_HTTP_CLIENT`).
        quality: Whether Quality Fabric is served below `/quality` (`EP_QUALITY`). Here and not in
            the policy: it writes a file, which is the deployment's affair and no request's.
        quality_url: The remote Quality Fabric its clients use (`EP_QUALITY_URL`); None: the file.
        quality_db: The file of Quality Fabric (`EP_QUALITY_DB`); None: in the user's state folder.
        quality_gates: The file of its gates (`EP_QUALITY_GATES`); None: the shipped ones.
    """

    policy: Path | None = None
    policy_reload: float = 2.0
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    timeout: float = 300.0
    client_keys: tuple[SecretStr, ...] = ()
    heartbeat: float = 15.0
    max_body_bytes: int = 16 * MIB
    body_timeout: float = 60.0
    drain_timeout: float = 30.0
    sandbox: bool = False
    strict: bool | None = None
    default_provider: str | None = None
    log_level: str = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    decisions: int = 10_000
    trace_content_bytes: int = 64 * 1024
    redis_url: SecretStr | None = None
    metrics: bool = True
    metrics_key: SecretStr | None = None
    metrics_open: bool = False
    http_client: ClientKind = "native"
    quality: bool = False
    quality_url: str | None = None
    quality_db: Path | None = None
    quality_gates: Path | None = None


LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
LOG_FORMATS: Final = ("auto", "json", "text")


class _Wrong(ValueError):
    """A value that a setting cannot have; the text says what would be right."""


def _seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise _Wrong("a number of seconds above 0, for instance 30")
    return number


def _seconds_or_never(value: str) -> float:
    try:
        return 0.0 if float(value) == 0 else _seconds(value)
    except ValueError:
        raise _Wrong("a number of seconds, or 0 for never") from None


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        # `isdecimal` alone would take other scripts' digits, `int` alone `1_000` and `+1`.
        number = int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else -1
        if not least <= number <= most:
            raise _Wrong(f"a whole number from {least} to {most}")
        return number

    return read


def _switch(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if value.lower() not in words:
        raise _Wrong("1 or 0 (or true, false, yes, no, on, off)")
    return words[value.lower()]


def _host(value: str) -> str:
    if any(c.isspace() or c == "/" for c in value):
        raise _Wrong("an address or a host name, for instance 127.0.0.1 or 0.0.0.0")
    return value


def _one_of(words: Sequence[str]) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.lower() not in words:
            raise _Wrong(f"one of {', '.join(words)}")
        return value.lower()

    return read


def _keys(value: str) -> tuple[SecretStr, ...]:
    keys = [key.strip() for key in value.split(",") if key.strip()]
    if not keys or not all(map(_is_key, keys)):
        raise _Wrong("keys separated by commas, of printable ASCII characters without spaces")
    return tuple(SecretStr(key) for key in keys)


def _key(value: str) -> SecretStr:
    if not _is_key(value):
        raise _Wrong("a key of printable ASCII characters without spaces")
    return SecretStr(value)


def _redis_url(value: str) -> SecretStr:
    try:
        parts = urlsplit(value)
        placed = parts.path if parts.scheme == "unix" else parts.hostname and parts.port != 0
    except ValueError:
        placed = parts = None
    if parts is None or parts.scheme not in ("redis", "rediss", "unix") or not placed:
        raise _Wrong("an address such as redis://localhost:6379/0, rediss://… or unix:///path")
    return SecretStr(value)


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        placed = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        placed = parts = None
    if not placed or parts is None or parts.username or parts.query or parts.fragment:
        raise _Wrong("an address such as https://quality.example, without a key in it")
    return value.rstrip("/")


SETTINGS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "EP_POLICY": ("policy", Path),
    "EP_POLICY_RELOAD": ("policy_reload", _seconds_or_never),
    "EP_HOST": ("host", _host),
    "EP_PORT": ("port", _whole(0, 65535)),
    "EP_WORKERS": ("workers", _whole(1, 512)),
    "EP_TIMEOUT": ("timeout", _seconds),
    "EP_CLIENT_KEYS": ("client_keys", _keys),
    "EP_HEARTBEAT": ("heartbeat", _seconds_or_never),
    "EP_MAX_BODY_BYTES": ("max_body_bytes", _whole(1024, 2**40)),
    "EP_BODY_TIMEOUT": ("body_timeout", _seconds),
    "EP_DRAIN_TIMEOUT": ("drain_timeout", _seconds_or_never),
    "EP_SANDBOX": ("sandbox", _switch),
    "EP_STRICT": ("strict", _switch),
    "EP_DEFAULT_PROVIDER": ("default_provider", str),
    "EP_LOG_LEVEL": ("log_level", _one_of(LOG_LEVELS)),
    "EP_LOG_FORMAT": ("log_format", _one_of(LOG_FORMATS)),
    "EP_DECISIONS": ("decisions", _whole(0, 10_000_000)),
    "EP_TRACE_CONTENT_BYTES": ("trace_content_bytes", _whole(1024, 16 * MIB)),
    "EP_REDIS_URL": ("redis_url", _redis_url),
    "EP_METRICS": ("metrics", _switch),
    "EP_METRICS_KEY": ("metrics_key", _key),
    "EP_METRICS_OPEN": ("metrics_open", _switch),
    "EP_HTTP_CLIENT": ("http_client", _one_of(CLIENTS)),
    "EP_QUALITY": ("quality", _switch),
    "EP_QUALITY_URL": ("quality_url", _http_url),
    "EP_QUALITY_DB": ("quality_db", Path),
    "EP_QUALITY_GATES": ("quality_gates", Path),
}
"""Variable to the field of `Settings` it sets, and its reader."""

_SECRET: Final = frozenset({"EP_CLIENT_KEYS", "EP_METRICS_KEY", "EP_REDIS_URL", "EP_QUALITY_URL"})

_NOT_SETTINGS: Final = frozenset({"EP_RECORDED_TRAFFIC", "EP_API_KEY"})
"""`EP_` variables that others read: the tests; `chat --url` and Quality Fabric's clients for their
client key."""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        environ: None: the process's environment and `.env` in the working directory.

    Raises:
        ConfigurationError: A value is wrong, or an `EP_` variable is not known. Variables that
            hold keys are left to `load_policy`, which knows their names.
    """
    found = non_empty(load_environment() if environ is None else environ)
    fields: dict[str, Any] = {}
    wrong: list[str] = []
    for name, (attribute, read) in SETTINGS.items():
        if name not in found:
            continue
        try:
            fields[attribute] = read(found[name])
        except _Wrong as error:
            shown = "the value" if name in _SECRET else f"`{found[name][:80]}`"
            wrong.append(f"{name}: {shown} is not right: it must be {error}.")
    wrong += unknown_variables([name for name in found if not _is_others(name)], SETTINGS)
    if "metrics_key" in fields and fields.get("metrics_open"):
        wrong.append(
            "EP_METRICS_OPEN: with it anybody may see what EP_METRICS_KEY is for: unset one."
        )
    if wrong:
        raise ConfigurationError(*wrong)
    return Settings(**fields)


def _is_others(name: str) -> bool:
    """Whether a variable is none of the settings, whoever reads it: perhaps a provider's key."""
    return name in _NOT_SETTINGS or (is_key_name(name) and name not in SETTINGS)


def load_policy(
    path: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    seen: Callable[[Path], None] | None = None,
) -> Policy:
    """Read the policy: the shipped one, and a file of one's own over it.

    Args:
        path: The file; None: the one that `EP_POLICY` names, or none.
        environ: For `EP_POLICY`, `EP_DEFAULT_PROVIDER` and `EP_STRICT`, which win over the
            file; None: the process's environment and `.env`.
        seen: Called with each file of one's own right before it is read, whether it can be or not.

    Raises:
        PolicyError: The file is wrong; the text has every error with its line.
        ConfigurationError: A variable is wrong, or an `EP_…_KEY` belongs to no provider.
    """
    found = non_empty(load_environment() if environ is None else environ)
    path = path if path is not None else found.get("EP_POLICY")
    document, folder = _shipped("persona_policy.yaml"), _SHIPPED
    tell = seen or _nobody
    if path is not None:
        tell(Path(path))
        own = parse(_text_of(path), str(path))
        document = build.merged(document, own)
        # Personas come whole from one of the two files, and so do their prompts.
        folder = Path(path).parent if "personas" in own.data else _SHIPPED

    def read_prompt(name: str) -> str:
        file = folder.joinpath(name)
        if folder is not _SHIPPED and isinstance(file, Path):
            tell(file)
        return file.read_text(encoding="utf-8")

    policy = build.build(
        document,
        capabilities=build.capability_table(_shipped("capabilities.yaml")),
        read_prompt=read_prompt,
    )
    return _with_environment(policy, found)


def _nobody(_file: Path) -> None:
    """Tell nobody."""


_SHIPPED: Final = files("policy")
"""The shipped files, as resources: found in a checkout and in an installed wheel alike."""


def _shipped(name: str) -> Document:
    return parse(_SHIPPED.joinpath(name).read_text(encoding="utf-8"), f"policy/{name}")


def _text_of(path: Path | str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeError:
        raise PolicyError(
            str(path), problem="the file is not UTF-8 text", remedy="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise PolicyError(
            str(path),
            problem=f"the file cannot be read ({error.strerror})",
            remedy="Name an existing file in `EP_POLICY` or with `--policy`.",
        ) from None


def _with_environment(policy: Policy, found: Mapping[str, str]) -> Policy:
    wrong: list[str] = []
    changes: dict[str, Any] = {}
    default = found.get("EP_DEFAULT_PROVIDER")
    if default is not None:
        changes["default_provider"] = default
        if default not in policy.providers:
            hint = did_you_mean(default, policy.providers)
            known = listed(sorted(policy.providers))
            wrong.append(
                f"EP_DEFAULT_PROVIDER: the policy has no provider `{default[:80]}`. "
                f"{hint} Its providers are {known}.".replace("  ", " ")
            )
    if "EP_STRICT" in found:
        changes["strict"] = load_settings({"EP_STRICT": found["EP_STRICT"]}).strict
    keys = {name for row in policy.providers.values() for name in row.api_key_env}
    wrong += [
        f"{name}: the value is not a key: it holds spaces, line ends or other odd characters."
        for name in sorted(keys)
        if name in found and not _is_key(found[name])
    ]
    known = _NOT_SETTINGS | SETTINGS.keys()
    try:
        providers = {name: in_place(row, found) for name, row in policy.providers.items()}
    except ValueError as error:
        wrong.append(str(error))
    else:
        changes["providers"] = providers
    given = [name for name in found if is_key_name(name) and name not in known]
    wrong += unknown_variables(given, {n for n in keys if n[:3] == "EP_"})
    if wrong:
        raise ConfigurationError(*wrong)
    return policy.replace(**changes)


def _is_key(value: str) -> bool:
    # What cannot stand in a header would fail every request, not the start.
    return value.isascii() and value.isprintable() and " " not in value
