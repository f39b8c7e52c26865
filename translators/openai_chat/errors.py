"""Errors of this dialect: OpenAI's own, and what gateways say inside an answer."""

from translators.errors import ProviderError
from translators.openai_errors import error_from_object, error_from_response

__all__ = ["error_from_object", "error_from_response", "failed_midway"]


def failed_midway() -> ProviderError:
    """Return the error for an answer whose own finish reason is `error`, as gateways send it."""
    return ProviderError("The provider failed in the middle of its answer.", kind="server")
