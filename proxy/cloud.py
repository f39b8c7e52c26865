"""Provider rows in a cloud: what the environment says of them, and what is missing.

Nothing here talks to anybody: a start without network finds out the same. Whether credentials
are *right* shows with the first request.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from policy.clouds import Credentials, cloud_url, is_name
from policy.schema import ProviderRow

__all__ = ["cloud_reason", "in_place"]

_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    # google-auth's and google-genai's names first, then those of the anthropic SDK.
    "project": ("GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"),
    "location": ("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "resource": ("ANTHROPIC_FOUNDRY_RESOURCE",),
}
_NEEDS: Final[Mapping[Credentials, tuple[str, ...]]] = {
    "vertex": ("project", "location"),
    "bedrock": ("region",),
    "foundry": ("resource",),
}
_PLACE: Final[Mapping[Credentials, str]] = {
    "vertex": "location",
    "bedrock": "region",
    "foundry": "resource",
}


def in_place(row: ProviderRow, environ: Mapping[str, str]) -> ProviderRow:
    """Return a row of a cloud with its place filled in from the environment, and its base URL.

    Raises:
        ValueError: A variable holds what cannot be a place's name; the text says which.
    """
    if row.credentials is None:
        return row
    found: dict[str, str] = {}
    for option in _NEEDS[row.credentials]:
        names = [name for name in _VARIABLES[option] if environ.get(name, "").strip()]
        if getattr(row, option) is None and names:
            found[option] = environ[names[0]].strip()
            if not is_name(option, found[option]):
                raise ValueError(f"{names[0]}: the value is not the name of a {option}.")
    place = found.get(_PLACE[row.credentials]) or getattr(row, _PLACE[row.credentials])
    if place is not None and not row.base_url:
        found["base_url"] = cloud_url(row.credentials, row.dialect, place)
    return row.model_copy(update=found)


def cloud_reason(row: ProviderRow, environ: Mapping[str, str], *, has_key: bool) -> str | None:
    """Return why a row of a cloud, already in its place, cannot be used; None where it can.

    Args:
        row: With its place filled in.
        environ: The process's environment.
        has_key: Whether one of the row's `api_key_env` is set.
    """
    if row.credentials is None:
        return None
    # Whatever gives the address gives the resource.
    needed = () if row.credentials == "foundry" and row.base_url else _NEEDS[row.credentials]
    for option in needed:
        if getattr(row, option) is None:
            return f"no {option}: set `{option}` in its row, or {_VARIABLES[option][0]}"
    match row.credentials:
        case "vertex":
            return _why_no_google(environ)
        case "bedrock":
            return None if has_key else _why_no_amazon(environ)
        case "foundry":
            return None if has_key else _no_key(row)


def _no_key(row: ProviderRow) -> str:
    if not row.api_key_env:
        return "no API key: name its variable in `api_key_env`, such as ANTHROPIC_FOUNDRY_API_KEY"
    return f"no API key: set {' or '.join(row.api_key_env)}"


def _why_no_google(environ: Mapping[str, str]) -> str | None:
    """Say what Application Default Credentials lack, in the order google-auth looks for them."""
    if not _installed("google.auth", "requests"):
        return "google-auth is not installed: pip install 'execution-platform[vertex]'"
    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if named:
        is_there = Path(named).is_file()
        return None if is_there else "GOOGLE_APPLICATION_CREDENTIALS names no file: correct it"
    folder = environ.get("CLOUDSDK_CONFIG")
    home = Path(folder) if folder else _home(environ) / ".config" / "gcloud"
    if (home / "application_default_credentials.json").is_file() or _in_google(environ):
        return None
    return (
        "no Google credentials: run `gcloud auth application-default login`, or set "
        "GOOGLE_APPLICATION_CREDENTIALS to a credentials file"
    )


def _in_google(environ: Mapping[str, str]) -> bool:
    """Whether this is a machine of Google's, where a server beside it hands out tokens.

    google-auth asks that server; the product's name (`_metadata.py`) and the variables of Cloud
    Run and of a metadata server elsewhere tell the same without asking anybody.
    """
    if any(environ.get(name) for name in ("K_SERVICE", "GCE_METADATA_HOST", "GAE_SERVICE")):
        return True
    return _hardware("product_name").startswith("Google")


def _why_no_amazon(environ: Mapping[str, str]) -> str | None:
    """Say what the chain of botocore's credential providers lacks."""
    if not _installed("botocore"):
        return (
            "botocore is not installed: pip install 'execution-platform[bedrock]', or set a "
            "Bedrock API key and name its variable in `api_key_env`, such as "
            "AWS_BEARER_TOKEN_BEDROCK"
        )
    if environ.get("AWS_ACCESS_KEY_ID"):
        has_secret = bool(environ.get("AWS_SECRET_ACCESS_KEY"))
        return None if has_secret else "AWS_ACCESS_KEY_ID without AWS_SECRET_ACCESS_KEY: set both"
    others = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
    container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if any(environ.get(name) for name in (*others, *container)):
        return None
    home = _home(environ) / ".aws"
    files = (
        environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials",
        environ.get("AWS_CONFIG_FILE") or home / "config",
    )
    if any(Path(file).is_file() for file in files) or _hardware("sys_vendor") == "Amazon EC2":
        return None
    return (
        "no AWS credentials: run `aws configure`, or set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )


def _installed(*modules: str) -> bool:
    try:
        return all(find_spec(module) is not None for module in modules)
    except ModuleNotFoundError:
        # The package that a module would be in is missing.
        return False


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME")
    return Path(home) if home else Path()


_DMI = Path("/sys/class/dmi/id")


def _hardware(field: str) -> str:
    """Return what the firmware says of the machine; empty where it says nothing."""
    try:
        return (_DMI / field).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return ""
