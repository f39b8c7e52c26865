"""What single parts hold: something at all, media of a known type, files within reach."""

import re
from collections.abc import Iterator

from proxy.sandbox.gemini_generate import refusals
from proxy.sandbox.gemini_generate.messages import ONE_OF
from proxy.sandbox.jsontypes import JsonObject, as_text, objects

__all__ = ["check_contents"]

_MIME = re.compile(
    r"image/(png|jpeg|webp|heic|heif)|application/(pdf|x-javascript|x-python)|text/[\w.+-]+"
    r"|audio/(wav|x-wav|mp3|mpeg|mpga|mp4|m4a|x-m4a|aiff|aac|ogg|flac|opus|pcm|l16|webm)"
    r"|video/(mp4|mpeg|mov|quicktime|avi|x-flv|mpg|mpegps|webm|wmv|3gpp)"
)
# Files of the API's own, of its storage, and videos on YouTube. Others are not fetched.
_FILE = re.compile(
    r"(https://generativelanguage\.googleapis\.com/\w+/)?files/[\w-]+|gs://.+"
    r"|https://(www\.|m\.)?(youtube\.com|youtu\.be)/.+"
)


def check_contents(body: JsonObject) -> None:
    """Refuse empty turns and parts, and media that the service cannot read.

    Raises:
        Rejection: naming the field, as the service words it.
    """
    contents = objects(body.get("contents"))
    if not contents:
        raise refusals.violated("contents", "contents is not specified")
    turns = [(f"contents[{i}]", content) for i, content in enumerate(contents)]
    if "system_instruction" in body:
        turns.append(("system_instruction", body["system_instruction"]))
    for path, content in turns:
        parts = objects(content.get("parts"))
        if not parts:
            raise refusals.violated(f"{path}.parts", "contents.parts must not be empty.")
        for k, part in enumerate(parts):
            if not ONE_OF["Part"] & part.keys() and not part.get("thought_signature"):
                raise refusals.violated(
                    f"{path}.parts[{k}].data",
                    "required oneof field 'data' must have one initialized field",
                )
            for media in _media(part):
                _check_media(media)


def _media(part: JsonObject) -> Iterator[JsonObject]:
    yield part
    yield from objects(part.get("function_response", {}).get("parts"))


def _check_media(part: JsonObject) -> None:
    blob = part.get("inline_data")
    if blob is not None:
        mime = as_text(blob.get("mime_type"))
        if not _MIME.fullmatch(mime.partition(";")[0].strip().lower()):
            raise refusals.invalid(f"Unsupported MIME type: {mime}")
        if not blob.get("data"):
            kind = "image" if mime.startswith("image/") else "file"
            raise refusals.invalid(f"Unable to process input {kind}.")
    uri = as_text(part.get("file_data", {}).get("file_uri"))
    if "file_data" in part and not _FILE.fullmatch(uri):
        raise refusals.invalid(f"Invalid or unsupported file uri: {uri}")
