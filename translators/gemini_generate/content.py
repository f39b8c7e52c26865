"""Content parts to the parts of a content.

https://ai.google.dev/gemini-api/docs/image-understanding and its sisters for audio, video and
documents say which media the API takes.

1. An empty text is left out: the API refuses parts without data.
2. Media inside the request are sent as `inlineData`; what Google has already (its Files API, a
   bucket, YouTube) as `fileData`. What is at any other address has been fetched before, unless
   that is turned off.
3. A part that cannot be carried over is refused, never dropped.
"""

import re
from typing import Any

from translators.fidelity import ReportBuilder
from translators.media import Media, read_media
from translators.remote_media import is_address
from translators.wire.content import (
    Content,
    ContentPart,
    FilePart,
    ImagePart,
    InputAudioPart,
    RefusalPart,
    TextPart,
)

__all__ = ["Part", "is_native_address", "media_url", "text_parts", "to_parts"]

Part = dict[str, Any]

_TYPES = ("audio/", "video/", "text/")
_IMAGES = frozenset(f"image/{name}" for name in ("png", "jpeg", "webp", "heic", "heif"))
"""https://ai.google.dev/gemini-api/docs/image-understanding#supported-formats"""

_TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "application/x-yaml")
_BY_SUFFIX = {
    **{name: f"image/{name}" for name in ("png", "jpeg", "webp", "heic", "heif", "gif")},
    **{name: f"audio/{name}" for name in ("wav", "mp3", "aac", "ogg", "flac", "aiff")},
    **{name: f"video/{name}" for name in ("mp4", "mpeg", "webm", "avi", "wmv")},
    "jpg": "image/jpeg",
    "mov": "video/quicktime",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "md": "text/markdown",
    "html": "text/html",
}
_AUDIO = re.compile(r"[a-z0-9.+-]{1,20}")
_RESOLUTIONS = {
    "low": "MEDIA_RESOLUTION_LOW",
    "medium": "MEDIA_RESOLUTION_MEDIUM",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}
_YOUTUBE = re.compile(r"https?://((www\.|m\.)?youtube\.com/|youtu\.be/)", re.I)
_FILES = re.compile(r"https://[a-z0-9.-]*googleapis\.com/(v1|v1beta)/files/[a-z0-9-]+", re.I)
_FILE_ID = re.compile(r"files/[a-z0-9-]+")


def text_parts(text: str | None) -> list[Part]:
    """Return `text` as a list of one part, or of none where it is empty."""
    return [{"text": text}] if text else []


def to_parts(
    content: Content | None,
    *,
    index: int,
    report: ReportBuilder,
    text_only: bool = False,
    resolution: bool = False,
) -> list[Part]:
    """Return the parts of a message's content.

    Args:
        content: The message's.
        index: The message's number.
        report: Where to say what was not carried over.
        text_only: Whether its role allows nothing else.
        resolution: Whether the model takes a resolution for each part.

    Raises:
        TranslationError: A part has no counterpart there.
    """
    if content is None or isinstance(content, str):
        return text_parts(content)
    parts: list[Part] = []
    for place, part in enumerate(content):
        at = f"messages[{index}].content[{place}]"
        found = _part(part, path=at, report=report, text_only=text_only)
        report.ignored_fields("messages[].content[]", part.model_extra or {})
        if isinstance(part, ImagePart):
            _resolve(found, part.image_url.detail, report, taken=resolution)
        parts += found
    return parts


def is_native_address(url: str) -> bool:
    """Whether the API itself reads what is at a URL."""
    own = url[:5].lower() == "gs://" or _FILES.fullmatch(url) or _YOUTUBE.match(url)
    return bool(own)


def media_url(url: str, *, path: str, report: ReportBuilder) -> Part:
    """Return the part for media at a URL.

    Raises:
        TranslationError: It is at an address that the API does not read.
    """
    if url[:5].lower() == "data:":
        return _inline(read_media(url, path=path, report=report), "", path=path, report=report)
    if url[:5].lower() == "gs://" or _FILES.fullmatch(url):
        return _file_data(url, _BY_SUFFIX.get(_suffix(url)))
    if _YOUTUBE.match(url):
        return _file_data(url, "video/mp4")
    raise report.reject(
        path,
        "the API does not read this address, and fetching media is turned off; send them inside "
        "the request as a `data:` URL, or name a file of Google's Files API, a `gs://` object or "
        "a YouTube video.",
    )


def _part(part: ContentPart, *, path: str, report: ReportBuilder, text_only: bool) -> list[Part]:
    if isinstance(part, TextPart):
        return text_parts(part.text)
    if isinstance(part, RefusalPart):
        return text_parts(part.refusal)
    if text_only:
        raise report.reject(path, "only text is possible in a message of this role.")
    if isinstance(part, ImagePart):
        extra = part.image_url.model_extra or {}
        report.ignored_fields("messages[].content[].image_url", extra)
        return [media_url(part.image_url.url, path=f"{path}.image_url.url", report=report)]
    if isinstance(part, FilePart):
        return [_file(part, path=f"{path}.file", report=report)]
    if isinstance(part, InputAudioPart):
        return [_audio(part, path=f"{path}.input_audio", report=report)]
    raise report.reject(path, f"parts of type `{part.type[:40]}` are not known.")


def _resolve(parts: list[Part], detail: str | None, report: ReportBuilder, *, taken: bool) -> None:
    """Ask for the resolution that OpenAI's `detail` stands for."""
    if detail in (None, "auto"):
        return
    level = _RESOLUTIONS.get(detail)
    if not taken or level is None:
        report.ignored("messages[].content[].image_url.detail")
        return
    for part in parts:
        part["mediaResolution"] = {"level": level}


def _audio(part: InputAudioPart, *, path: str, report: ReportBuilder) -> Part:
    audio = part.input_audio
    report.ignored_fields("messages[].content[].input_audio", audio.model_extra or {})
    if is_address(audio.data):
        return media_url(audio.data, path=f"{path}.data", report=report)
    if not _AUDIO.fullmatch(audio.format.lower()):
        raise report.reject(f"{path}.format", "it is no audio format.")
    media = read_media(audio.data, path=f"{path}.data", report=report)
    return _blob(f"audio/{audio.format.lower()}", media)


def _file(part: FilePart, *, path: str, report: ReportBuilder) -> Part:
    file = part.file
    extra = file.model_extra or {}
    address = extra.get("file_url")
    named = isinstance(address, str) and not (file.file_id or file.file_data)
    known: frozenset[str] = frozenset({"file_url"}) if named else frozenset()
    report.ignored_fields("messages[].content[].file", extra, known=known)
    if named:
        return media_url(str(address), path=f"{path}.file_url", report=report)
    if file.file_id:
        if not (_FILE_ID.fullmatch(file.file_id) or _FILES.fullmatch(file.file_id)):
            raise report.reject(f"{path}.file_id", "this file is not in Google's Files API.")
        return _file_data(file.file_id, _BY_SUFFIX.get(_suffix(file.filename)))
    if not file.file_data:
        raise report.reject(path, "it has neither `file_data` nor `file_id`.")
    at = f"{path}.file_data"
    if "://" in file.file_data[:12]:
        return media_url(file.file_data, path=at, report=report)
    guess = _BY_SUFFIX.get(_suffix(file.filename), "")
    media = read_media(file.file_data, path=at, report=report)
    return _inline(media, guess, path=at, report=report)


def _inline(media: Media, guess: str, *, path: str, report: ReportBuilder) -> Part:
    """Return the media as a part; `guess` is its type where nothing in it says one."""
    kind = media.type or guess
    if kind == "application/pdf" or kind in _IMAGES or kind.startswith(_TYPES):
        return _blob(kind, media)
    if (not kind or kind in _TEXT_TYPES) and media.content and media.text is not None:
        return _blob("text/plain", media)
    raise report.reject(
        path,
        "media must be an image (PNG, JPEG, WebP, HEIC or HEIF), audio, video, a PDF or text, not "
        f"`{kind[:60] or 'of an unknown type'}`.",
    )


def _blob(kind: str, media: Media) -> Part:
    return {"inlineData": {"mimeType": kind, "data": media.base64}}


def _file_data(uri: str, kind: str | None) -> Part:
    data = {"fileUri": uri} if kind is None else {"mimeType": kind, "fileUri": uri}
    return {"fileData": data}


def _suffix(name: str | None) -> str:
    return (name or "").rpartition(".")[2].lower()
