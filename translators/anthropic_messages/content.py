"""Content parts to content blocks.

https://platform.claude.com/docs/en/build-with-claude/vision and
https://platform.claude.com/docs/en/build-with-claude/pdf-support say which media the API takes.

1. A text of white space alone is left out: the API refuses such blocks ("text content blocks
   must contain non-whitespace text").
2. A part that cannot be carried over is refused, never dropped.
"""

from collections.abc import Mapping
from typing import Any, cast

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

__all__ = ["CACHE_FIELDS", "Block", "cache_mark", "text_blocks", "to_blocks"]

Block = dict[str, Any]

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "application/x-yaml")
CACHE_FIELDS = frozenset({"cache_control", "prompt_cache_breakpoint"})
"""The fields that `cache_mark` reads."""


def text_blocks(text: str | None) -> list[Block]:
    """Return `text` as a list of one block, or of none where there is nothing to read in it."""
    return [{"type": "text", "text": text}] if text and not text.isspace() else []


def to_blocks(
    content: Content | None, *, index: int, report: ReportBuilder, text_only: bool = False
) -> list[Block]:
    """Return the blocks of the content of message number `index`.

    Raises:
        TranslationError: A part has no counterpart there.
    """
    if content is None or isinstance(content, str):
        return text_blocks(content)
    blocks: list[Block] = []
    for place, part in enumerate(content):
        path = f"messages[{index}].content[{place}]"
        found = _part(part, path=path, report=report, text_only=text_only)
        extra = part.model_extra or {}
        report.ignored_fields("messages[].content[]", extra, known=CACHE_FIELDS)
        if found and (mark := cache_mark(extra)):
            found[-1]["cache_control"] = mark
        blocks += found
    return blocks


def cache_mark(extra: Mapping[str, Any]) -> Block | None:
    """Return the cache mark that a part, message or tool carries, in Anthropic's form.

    OpenAI's `prompt_cache_breakpoint` lives 30 minutes or 12 hours; the nearest there is an hour:
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    own = extra.get("cache_control")
    if isinstance(own, dict):
        return cast("Block", own)
    mark = extra.get("prompt_cache_breakpoint")
    if not isinstance(mark, dict):
        return None
    lasting = cast("Block", mark).get("ttl") is not None
    return {"type": "ephemeral", "ttl": "1h"} if lasting else {"type": "ephemeral"}


def _part(part: ContentPart, *, path: str, report: ReportBuilder, text_only: bool) -> list[Block]:
    if isinstance(part, TextPart):
        return text_blocks(part.text)
    if isinstance(part, RefusalPart):
        return text_blocks(part.refusal)
    if text_only:
        raise report.reject(path, "only text is possible in a message of this role.")
    if isinstance(part, ImagePart):
        return [_image(part, path=f"{path}.image_url", report=report)]
    if isinstance(part, FilePart):
        return [_file(part, path=f"{path}.file", report=report)]
    if isinstance(part, InputAudioPart):
        raise report.reject(path, "Claude does not listen to audio.")
    raise report.reject(path, f"parts of type `{part.type[:40]}` are not known.")


def _image(part: ImagePart, *, path: str, report: ReportBuilder) -> Block:
    image = part.image_url
    if image.detail not in (None, "auto"):
        report.ignored("messages[].content[].image_url.detail")
    report.ignored_fields("messages[].content[].image_url", image.model_extra or {})
    if is_address(image.url):
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    media = _read(image.url, path=f"{path}.url", report=report)
    if media.type not in _IMAGE_TYPES:
        raise report.reject(
            f"{path}.url",
            "an image must be JPEG, PNG, GIF or WebP, not "
            f"`{media.type[:60] or 'of an unknown type'}`.",
        )
    return _base64("image", media)


def _file(part: FilePart, *, path: str, report: ReportBuilder) -> Block:
    file = part.file
    extra = file.model_extra or {}
    report.ignored_fields("messages[].content[].file", extra, known=frozenset({"file_url"}))
    place = file.file_data or extra.get("file_url")
    if file.file_id:
        # Ids of Anthropic's Files API start so; OpenAI's start with `file-`.
        if not file.file_id.startswith("file_"):
            raise report.reject(f"{path}.file_id", "this file is not in Anthropic's Files API.")
        block: Block = {"type": "document", "source": {"type": "file", "file_id": file.file_id}}
    elif is_address(place):
        block = {"type": "document", "source": {"type": "url", "url": place}}
    elif not file.file_data:
        raise report.reject(path, "it has neither `file_data` nor `file_id`.")
    else:
        block = _document(
            _read(file.file_data, path=f"{path}.file_data", report=report),
            path=f"{path}.file_data",
            report=report,
        )
    if file.filename and block["type"] == "document":
        block["title"] = file.filename
    return block


def _document(media: Media, *, path: str, report: ReportBuilder) -> Block:
    if media.type == "application/pdf":
        return _base64("document", media)
    if media.type in _IMAGE_TYPES:
        return _base64("image", media)
    readable = media.type in ("", *_TEXT_TYPES) or media.type.startswith("text/")
    text = media.text if readable else None
    if text is None or not text.strip():
        raise report.reject(path, "a file must be a PDF, an image or UTF-8 text.")
    source = {"type": "text", "media_type": "text/plain", "data": text}
    return {"type": "document", "source": source}


def _base64(kind: str, media: Media) -> Block:
    source = {"type": "base64", "media_type": media.type, "data": media.base64}
    return {"type": kind, "source": source}


def _read(value: str, *, path: str, report: ReportBuilder) -> Media:
    if value[:5].lower() != "data:" and not path.endswith(".file_data"):
        raise report.reject(path, "an image must be at an `https:` or `data:` URL.")
    return read_media(value, path=path, report=report)
