"""Media that cannot be had, in the client's words."""

from proxy.exchange import Exchange
from proxy.media.addresses import MediaProblem
from translators.errors import TranslationError
from translators.remote_media import RemoteMedia

__all__ = ["MediaBusy", "busy", "refusal"]

_CODES = {
    "address": ("invalid_image_url", "invalid_file_url"),
    "download": ("failed_to_download_image", "failed_to_download_file"),
    "too_large": ("image_file_too_large", "file_too_large"),
    "type": ("unsupported_image_media_type", "unsupported_file_media_type"),
}
"""OpenAI's codes for images (`ResponseError.code`, openai 3.54), and ours in their manner."""

_REMEDIES = {
    "address": "Use a public `https:` URL, or send it inside the request as a `data:` URL.",
    "download": "Check the address, or send it inside the request as a `data:` URL.",
    "too_large": "Send a smaller one.",
    "type": "Link to an image, PDF, audio, video or text file itself.",
}


class MediaBusy(TranslationError):
    """The server fetches as much as it may: a provider that fetches the address itself may do."""

    type = "service_unavailable_error"
    status_hint = 503

    def __init__(self, param: str) -> None:
        super().__init__(
            f"`{param}` was not fetched: the proxy fetches or holds as many media as it may. Ask "
            "again, or send it inside the request as a `data:` URL.",
            param=param,
            code="server_is_overloaded",
        )


def busy(exchange: Exchange, place: RemoteMedia) -> MediaBusy:
    """Return the error where no turn came, and note it on the request's span."""
    _note(exchange, place, "busy")
    return MediaBusy(place.param)


def refusal(exchange: Exchange, place: RemoteMedia, problem: MediaProblem) -> TranslationError:
    """Return the error for media that cannot be had, and note it on the request's span."""
    _note(exchange, place, problem.kind)
    code = _CODES[problem.kind][0 if place.kind == "image" else 1]
    return TranslationError(
        f"`{place.param}` cannot be fetched: {problem.text}. {_REMEDIES[problem.kind]}",
        param=place.param,
        code=code,
    )


def _note(exchange: Exchange, place: RemoteMedia, problem: str) -> None:
    exchange.span.event(
        "ep.media.refused", {"ep.media.param": place.param, "ep.media.problem": problem}
    )
