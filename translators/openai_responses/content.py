"""Content parts of a message to the API's.

https://developers.openai.com/api/docs/guides/images-vision and .../file-inputs; the types are
`response_input_content_param.py` of openai 3.54, which know no sound.
"""

from typing import Any, cast

from translators.fidelity import ReportBuilder
from translators.media import Media, read_media
from translators.wire.content import (
    Content,
    ContentPart,
    FilePart,
    ImagePart,
    InputAudioPart,
    RefusalPart,
    TextPart,
)

__all__ = ["Item", "said_parts", "to_content"]

Item = dict[str, Any]

_MARK = "prompt_cache_breakpoint"
_MARKED = frozenset({_MARK})
_SUFFIXES = {"plain": "txt", "markdown": "md", "": "bin"}


def to_content(
    content: Content | None, *, index: int, report: ReportBuilder, text_only: bool = False
) -> str | list[Item]:
    """Return what message number `index`, which may be a tool's result, says.

    Raises:
        TranslationError: A part has no counterpart there.
    """
    if content is None or isinstance(content, str):
        return content or ""
    return [
        _part(part, path=_at(index, place), report=report, text_only=text_only)
        for place, part in enumerate(content)
    ] or ""


def said_parts(
    content: Content | None, refusal: str | None, *, index: int, report: ReportBuilder
) -> list[Item]:
    """Return the parts of an earlier answer that are not empty, as the API gave them.

    Raises:
        TranslationError: A part is neither text nor a refusal.
    """
    if content is None or isinstance(content, str):
        parts = [_said(content)] if content else []
    else:
        parts = [_said_part(part, _at(index, place), report) for place, part in enumerate(content)]
    if refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    return [part for part in parts if part[_text_field(part)]]


def _at(index: int, place: int) -> str:
    return f"messages[{index}].content[{place}]"


def _text_field(part: Item) -> str:
    return "refusal" if part["type"] == "refusal" else "text"


def _said(text: str) -> Item:
    return {"type": "output_text", "text": text, "annotations": []}


def _said_part(part: ContentPart, path: str, report: ReportBuilder) -> Item:
    report.ignored_fields("messages[].content[]", part.model_extra or {})
    if isinstance(part, TextPart):
        return _said(part.text)
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "refusal": part.refusal}
    raise report.reject(path, "only text is possible in a message of this role.")


def _part(part: ContentPart, *, path: str, report: ReportBuilder, text_only: bool) -> Item:
    extra = part.model_extra or {}
    report.ignored_fields("messages[].content[]", extra, known=_MARKED)
    if isinstance(part, TextPart):
        native: Item = {"type": "input_text", "text": part.text}
    elif text_only or isinstance(part, RefusalPart):
        raise report.reject(path, "this part is not possible in a message of this role.")
    elif isinstance(part, ImagePart):
        native = _image(part, path=f"{path}.image_url.url", report=report)
    elif isinstance(part, FilePart):
        native = _file(part, path=f"{path}.file", report=report)
    elif isinstance(part, InputAudioPart):
        raise report.reject(path, "the Responses API does not listen to audio.")
    else:
        raise report.reject(path, f"parts of type `{part.type[:40]}` are not known.")
    if isinstance(extra.get(_MARK), dict):
        native[_MARK] = cast("Item", extra[_MARK])
    return native


def _image(part: ImagePart, *, path: str, report: ReportBuilder) -> Item:
    image = part.image_url
    if not image.url[:8].lower().startswith(("https://", "http://", "data:")):
        raise report.reject(path, "an image must be at an `https:` or `data:` URL.")
    report.ignored_fields("messages[].content[].image_url", image.model_extra or {})
    return {"type": "input_image", "image_url": image.url, "detail": image.detail or "auto"}


def _file(part: FilePart, *, path: str, report: ReportBuilder) -> Item:
    file = part.file
    report.ignored_fields("messages[].content[].file", file.model_extra or {})
    if file.file_id:
        return {"type": "input_file", "file_id": file.file_id}
    data = file.file_data
    if not data:
        raise report.reject(path, "it has neither `file_data` nor `file_id`.")
    named: Item = {"filename": file.filename} if file.filename else {}
    if data[:8].lower().startswith(("https://", "http://")):
        return {"type": "input_file", "file_url": data, **named}
    if named and data[:5] == "data:" and ";base64," in data[:200]:
        return {"type": "input_file", "file_data": data, **named}
    # "Expected a base64-encoded data URL with a valid file MIME type", and a name beside it.
    media = read_media(data, path=f"{path}.file_data", report=report)
    url = f"data:{media.type or 'application/octet-stream'};base64,{media.base64}"
    return {"type": "input_file", "file_data": url, "filename": file.filename or _name(media)}


def _name(media: Media) -> str:
    kind = media.type.rpartition("/")[2]
    return f"file.{_SUFFIXES.get(kind, kind)}"
