"""The API's error answers and failed answers to ours.

https://platform.openai.com/docs/guides/error-codes; `response_error.py` and
`response_error_event.py` of openai 3.54 for what comes inside a stream or a 200.
"""

from collections.abc import Mapping
from typing import Any, Final

from translators.errors import ErrorKind, ProviderError
from translators.openai_errors import error_from_fields, error_from_response

__all__ = ["broken", "error_from_response", "failure"]

_KINDS: Final[Mapping[str, ErrorKind]] = {
    "server_error": "server",
    "vector_store_timeout": "timeout",
    **dict.fromkeys(
        (
            "invalid_prompt",
            "invalid_encrypted_content",
            "data_residency_mismatch",
            "bio_policy",
            "misalignment_policy_violation",
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "image_content_policy_violation",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        ),
        "invalid",
    ),
}
"""What the codes of failed answers mean; what the request brought about no retry will mend."""


def failure(error: Mapping[str, Any]) -> ProviderError:
    """Return the error of an answer that failed, or of an `error` event."""
    return error_from_fields(error, _KINDS)


def broken(what: str) -> ProviderError:
    """Return the error for an answer that is not what the API promises."""
    return ProviderError(f"The provider sent {what}.", kind="protocol")
