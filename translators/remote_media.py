"""Media that a request only names: addresses in its messages, and what was found there instead.

An image is at `image_url.url`. OpenAI's Chat Completions has no address for a file or for audio
(`file_data` and `data` are base64, openai 3.54), but clients write one there all the same, or in
`file_url`, as the Responses API calls it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from translators.media import Media
from translators.wire.content import ContentPart, FilePart, ImagePart, InputAudioPart, Message
from translators.wire.request import ChatCompletionRequest

__all__ = ["RemoteMedia", "data_url", "is_address", "remote_media", "with_media"]


@dataclass(frozen=True, slots=True)
class RemoteMedia:
    """An address in a request.

    Attributes:
        param: Where it stands, such as `messages[0].content[1].image_url.url`.
        url: The address: `http:` or `https:`.
        kind: What the part says to find there.
    """

    param: str
    url: str
    kind: Literal["image", "file", "audio"]


def is_address(value: object) -> bool:
    """Whether a value is an `http:` or `https:` URL, rather than the media themselves."""
    return isinstance(value, str) and value[:8].lower().startswith(("http://", "https://"))


def remote_media(chat: ChatCompletionRequest) -> Iterator[RemoteMedia]:
    """Yield the addresses in a request's messages, of any role, in their order."""
    for index, message in enumerate(chat.messages):
        content = message.content
        if content is None or isinstance(content, str):
            continue
        for position, part in enumerate(content):
            yield from _addresses(part, f"messages[{index}].content[{position}]")


def _addresses(part: ContentPart, path: str) -> Iterator[RemoteMedia]:
    if isinstance(part, ImagePart):
        if is_address(part.image_url.url):
            yield RemoteMedia(f"{path}.image_url.url", part.image_url.url, "image")
    elif isinstance(part, FilePart):
        name = _file_field(part)
        if name is not None:
            yield RemoteMedia(f"{path}.file.{name}", getattr(part.file, name), "file")
    elif isinstance(part, InputAudioPart) and is_address(part.input_audio.data):
        yield RemoteMedia(f"{path}.input_audio.data", part.input_audio.data, "audio")


def _file_field(part: FilePart) -> str | None:
    """Return which field of a file holds an address; none counts beside an id or content."""
    file = part.file
    if file.file_id:
        return None
    if file.file_data:
        return "file_data" if is_address(file.file_data) else None
    return "file_url" if is_address((file.model_extra or {}).get("file_url")) else None


def with_media(chat: ChatCompletionRequest, found: Mapping[str, Media]) -> ChatCompletionRequest:
    """Return the request with media in the place of their addresses; `chat` is not changed.

    The same media make the same request, byte for byte: prompt caches depend on it.

    Args:
        chat: The request.
        found: By address. Addresses that are not in it stay.
    """
    messages = [_with_media(message, found) for message in chat.messages]
    return chat.model_copy(update={"messages": messages})


def _with_media(message: Message, found: Mapping[str, Media]) -> Message:
    content = message.content
    if content is None or isinstance(content, str):
        return message
    parts = [_replaced(part, found) for part in content]
    if all(new is old for new, old in zip(parts, content, strict=True)):
        return message
    return message.model_copy(update={"content": parts})


def _replaced(part: ContentPart, found: Mapping[str, Media]) -> ContentPart:
    place = next(_addresses(part, ""), None)
    media = None if place is None else found.get(place.url)
    if place is None or media is None:
        return part
    if isinstance(part, ImagePart):
        image = part.image_url.model_copy(update={"url": data_url(media)})
        return part.model_copy(update={"image_url": image})
    if isinstance(part, InputAudioPart):
        # The bytes know their format better than whoever wrote the address.
        changes = {"data": media.base64, "format": media.type.removeprefix("audio/")}
        audio = part.input_audio.model_copy(update=changes)
        return part.model_copy(update={"input_audio": audio})
    if isinstance(part, FilePart):
        return part.model_copy(update={"file": _file(part, place.url, media)})
    return part


def _file(part: FilePart, url: str, media: Media) -> Any:
    # Checked anew, not copied: a copy would keep `file_url` among its unknown fields.
    fields = part.file.model_dump(exclude_unset=True)
    fields.pop("file_url", None)
    fields["file_data"] = data_url(media)
    if not fields.get("filename") and (name := _name(url)):
        # OpenAI refuses a file without one.
        fields["filename"] = name
    return type(part.file).model_validate(fields)


def _name(url: str) -> str:
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return "".join(c for c in name if c.isprintable())[:100]


def data_url(media: Media) -> str:
    """Return media as a `data:` URL."""
    return f"data:{media.type};base64,{media.base64}"
