"""What was fetched: its own bytes say, and its server only where they are silent."""

from typing import Literal

from proxy.media.addresses import MediaProblem
from translators.media import Media, sniff

__all__ = ["typed"]

# Containers that show no more than that: the server knows whether they hold pictures or sound.
_ALSO = {
    "video/mp4": ("audio/mp4", "audio/x-m4a", "audio/m4a"),
    "video/webm": ("audio/webm", "video/x-matroska"),
    "audio/ogg": ("video/ogg",),
}
_TEXT = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
_PAGES = frozenset({"text/html", "application/xhtml+xml"})


def typed(content: bytes, declared: str, kind: Literal["image", "file", "audio"]) -> Media:
    """Return media with their type.

    Args:
        content: All of it.
        declared: The server's `content-type`, or empty.
        kind: What the request says it is.

    Raises:
        MediaProblem: It is nothing that is known, or no sound where there should be.
    """
    if not content:
        raise MediaProblem("type", "it is empty")
    declared = declared.partition(";")[0].strip().lower()
    found = sniff(content)
    if not found:
        return _text(content, declared, kind)
    if declared in _ALSO.get(found, ()):
        found = declared
    if kind == "audio" and not found.startswith("audio/"):
        raise MediaProblem("type", f"it is no audio but `{found}`")
    return Media(found, content)


def _text(content: bytes, declared: str, kind: str) -> Media:
    if declared in _PAGES:
        raise MediaProblem("type", "there is a web page")
    media = Media(declared, content)
    is_text = declared in _TEXT or declared.startswith("text/")
    if kind != "file" or not is_text or media.text is None:
        raise MediaProblem("type", "what is there is in no format that is known")
    return media
