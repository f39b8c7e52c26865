"""Providers in somebody's cloud: which dialects it serves, its options, its addresses.

The addresses are those of anthropic 2.12 (`lib/vertex/_client.py`, `lib/bedrock/_mantle.py`,
`lib/foundry.py`) and of google-genai 3.4 (`_api_client.py`).
"""

import re
from collections.abc import Mapping, Set
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_core import PydanticCustomError

from policy.rows import problem
from policy.spelling import listed

__all__ = [
    "CLOUD_OPTIONS",
    "NO_CLOUD",
    "Credentials",
    "Place",
    "Project",
    "cloud_problems",
    "cloud_url",
    "is_name",
]

Credentials = Literal["vertex", "bedrock", "foundry"]
"""Whose credentials a row uses: Google's, Amazon's or Microsoft's."""

# They become part of a host name or a path: nothing in them may begin another part.
_PLACE = r"^[a-zA-Z0-9][a-zA-Z0-9-]*$"
_PROJECT = r"^[a-z0-9][a-z0-9.:-]*$"
Place = Annotated[str, Field(pattern=_PLACE)]
Project = Annotated[str, Field(pattern=_PROJECT)]

CLOUD_OPTIONS: Mapping[str, Credentials] = {
    "project": "vertex",
    "location": "vertex",
    "region": "bedrock",
    "resource": "foundry",
}
"""Options of a row that only rows of one cloud have."""

NO_CLOUD: Mapping[str, None] = dict.fromkeys(("credentials", *CLOUD_OPTIONS))
"""What takes a row out of its cloud: an update for `model_copy`."""

_DIALECTS: Mapping[Credentials, tuple[str, ...]] = {
    "vertex": ("anthropic_messages", "gemini_generate"),
    "bedrock": ("anthropic_messages",),
    "foundry": ("anthropic_messages",),
}
# No cloud tells its models' limits; each has headers of its own for a key, or takes none.
_WITHOUT_EFFECT: Mapping[Credentials, tuple[str, ...]] = {
    "vertex": ("api_key_env", "api_key_header", "discover"),
    "bedrock": ("api_key_header", "discover"),
    "foundry": ("api_key_header", "discover"),
}
_VENDORS_OWN = ("api.anthropic.com", "generativelanguage.googleapis.com")


def is_name(option: str, value: str) -> bool:
    """Whether a value may stand for one of `CLOUD_OPTIONS`."""
    pattern = _PROJECT if option == "project" else _PLACE
    return re.fullmatch(pattern, value) is not None


def cloud_problems(
    credentials: Credentials | None, *, dialect: str, base_url: str, given: Set[str]
) -> list[tuple[tuple[str], PydanticCustomError]]:
    """Return what is wrong with the cloud options of a provider row, each with its key.

    Args:
        credentials: The cloud; None: the row is of no cloud.
        dialect: Of the row.
        base_url: Of the row; empty: none is given.
        given: The names of the options that the row sets.
    """
    found = [
        (
            (name,),
            problem(
                f"this has no effect without `credentials: {cloud}`",
                f"Remove it, or add `credentials: {cloud}`.",
            ),
        )
        for name, cloud in CLOUD_OPTIONS.items()
        if name in given and cloud != credentials
    ]
    if credentials is None:
        return found
    if dialect not in _DIALECTS[credentials]:
        names = listed(_DIALECTS[credentials])
        words = f"`{credentials}` does not serve the dialect `{dialect}`"
        found.append((("credentials",), problem(words, f"It serves {names}.")))
    if urlsplit(base_url).hostname in _VENDORS_OWN:
        # Most often a row laid over the shipped one of the same name.
        remedy = "Leave it out: it follows from the other options. Give the row a name of its own."
        found.append((("base_url",), problem("this is not the address of the cloud", remedy)))
    found += [
        ((name,), problem(f"this has no effect with `credentials: {credentials}`", "Remove it."))
        for name in _WITHOUT_EFFECT[credentials]
        if name in given
    ]
    return found


def cloud_url(credentials: Credentials, dialect: str, place: str) -> str:
    """Return the base URL of a cloud's API.

    Args:
        credentials: The cloud.
        dialect: The API.
        place: Vertex: the location; Bedrock: the region; Foundry: the resource.
    """
    match credentials:
        case "bedrock":
            return f"https://bedrock-mantle.{place}.api.aws/anthropic"
        case "foundry":
            return f"https://{place}.services.ai.azure.com/anthropic"
        case "vertex":
            # The translator for Gemini begins its paths with the version.
            version = "/v1" if dialect == "anthropic_messages" else ""
            return f"https://{_google_host(place)}{version}"


def _google_host(location: str) -> str:
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"
