"""What may stand in a label: a few words, whatever clients and providers make up.

Each value of a label is a time series, which costs memory here and at whoever scrapes.
"""

import re
from typing import Final, get_args

from policy.schema import Policy
from translators.errors import ErrorKind
from translators.wire.request import ChatCompletionRequest

__all__ = ["MOST_ERROR_TYPES", "OTHER", "ErrorTypes", "KnownNames", "method", "top_level"]

OTHER: Final = "other"

MOST_ERROR_TYPES: Final = 64
"""Beside our own: the words that providers have for their errors are theirs to invent."""

_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_OURS: Final = frozenset(
    {
        *get_args(ErrorKind),
        *("internal_error", "no_provider", "server_shutdown", "unsupported_parameter"),
    }
)

_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)

_FIELDS: Final = frozenset(ChatCompletionRequest.model_fields)


class ErrorTypes:
    """Error types as labels: our own, and the first so many words of providers'."""

    def __init__(self, most: int = MOST_ERROR_TYPES) -> None:
        self._most = most
        self._seen: set[str] = set()

    def label(self, error_type: str | None) -> str | None:
        """Return an error type, or `other` for what would be one too many, or is no word."""
        if error_type is None or error_type in _OURS or error_type in self._seen:
            return error_type
        if len(self._seen) >= self._most or not _WORD.fullmatch(error_type):
            return OTHER
        self._seen.add(error_type)
        return error_type


class KnownNames:
    """The names of the policies that have served here: no others become a label.

    A request that began under one policy may end under the next, so none is forgotten.

    Args:
        policy: The first.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy: Policy | None = None
        self._personas: set[str] = set()
        self._models: set[tuple[str, str]] = set()
        self.follow(policy)

    def follow(self, policy: Policy) -> None:
        """Learn the names of the policy that serves now."""
        if policy is self._policy:
            return
        self._policy = policy
        self._personas.update(policy.personas)
        for name, row in policy.providers.items():
            self._models.update((name, model) for model in (row.model, *row.models, *row.prices))
        for persona in policy.personas.values():
            for preference in persona.provider_preferences:
                if preference.model is not None:
                    self._models.add((preference.provider, preference.model))

    def persona(self, name: str) -> str:
        """Return a persona's name; `other` for a model that was named directly, or is none."""
        return name if name in self._personas else OTHER

    def model(self, provider: str, model: str) -> str:
        """Return a model's name; `other` for one that no policy names."""
        return model if (provider, model) in self._models else OTHER


def method(name: str) -> str:
    """Return an HTTP method, or the conventions' word for all that are none."""
    return name if name in _METHODS else "_OTHER"


def top_level(path: str) -> str:
    """Return OpenAI's field that a path such as `messages[0].name` begins with, or `other`."""
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    return name if name in _FIELDS else OTHER
