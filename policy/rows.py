"""What every model of the policy file shares: strictness, names, secrets, errors with a remedy."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from policy.capabilities import VOCABULARY, canonical
from policy.spelling import did_you_mean, listed

__all__ = [
    "Capabilities",
    "Row",
    "VariableNames",
    "has_secret",
    "known_names",
    "problem",
    "problems",
]


class Row(BaseModel):
    """Base of every part of the policy: strict types, no unknown keys, never changed."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def problem(what: str, remedy: str = "") -> PydanticCustomError:
    """Return an error of a policy value; `policy.build` gives it its place."""
    # Braces would be taken for a template.
    return PydanticCustomError("policy", "{problem}", {"problem": what, "remedy": remedy})


def problems(found: Sequence[tuple[tuple[int | str, ...], PydanticCustomError]]) -> ValidationError:
    """Return one error that holds several, each with its place below the value checked."""
    lines = [InitErrorDetails(type=error, loc=place, input=None) for place, error in found]
    return ValidationError.from_exception_data("policy", lines, hide_input=True)


def known_names(info: ValidationInfo, kind: str) -> frozenset[str] | None:
    """Return the names of a kind that the whole file defines; None where that is not known."""
    context: Any = info.context
    return None if context is None else context[kind]


def _capability(name: str) -> str:
    found = canonical(name)
    if found is None:
        raise problem(
            f"unknown capability `{name}`",
            did_you_mean(name, VOCABULARY) or f"The capabilities are {listed(VOCABULARY)}.",
        )
    return found


Capabilities = Annotated[
    tuple[Annotated[str, AfterValidator(_capability)], ...], Field(strict=False)
]
"""A list of capabilities, under the names of the vocabulary."""

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
# `EP_` variables that no policy row names are refused as typing errors: see `proxy.environment`,
# which can only tell a key's variable from the others by its ending.
_OURS = re.compile(r"EP_[A-Z0-9_]*(_KEY|_TOKEN)")


def _variable(name: str) -> str:
    # The value is never repeated: it may be the key itself.
    if not _VARIABLE.fullmatch(name) or has_secret(name):
        raise problem(
            "this is not the name of an environment variable",
            "Put the key in an environment variable and name that in `api_key_env`: "
            "capital letters, digits and `_`.",
        )
    if name.startswith("EP_") and not _OURS.fullmatch(name):
        raise problem(
            f"the variable `{name}` begins with `EP_` but does not end in `_KEY` or `_TOKEN`",
            "Name it otherwise: unknown `EP_` variables are refused as typing errors.",
        )
    return name


VariableNames = Annotated[
    tuple[Annotated[str, AfterValidator(_variable)], ...], Field(strict=False)
]
"""Names of environment variables, the first that is set counts."""

# The forms of keys in use: OpenAI and Anthropic `sk-`, Google `AIza`, xAI `xai-`, Groq `gsk_`,
# Hugging Face `hf_`, Perplexity `pplx-`, GitHub `ghp_`, and whatever follows `Bearer`. Long
# enough that a prompt which only speaks of keys, or of `sk-learn`, passes.
_SECRET = re.compile(
    r"\b(?:sk-(?=[\w-]*\d)[\w-]{12,}|sk-[\w-]{24,}|AIza[\w-]{16,}"
    r"|(?:xai-|gsk_|hf_|pplx-|ghp_)\w{12,}|[Bb]earer\s+[\w.~+/=-]{16,})"
)


def has_secret(text: str) -> bool:
    """Whether a text holds what looks like a key, or is one."""
    alone = text.startswith("sk-") and not any(c.isspace() for c in text)
    return alone or _SECRET.search(text) is not None
