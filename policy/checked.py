"""YAML data to a checked model: what is wrong, with its line and what would be right."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from policy.document import Document, KeyPath
from policy.errors import PolicyError
from policy.rows import Row

__all__ = ["NearKey", "validated"]

NearKey = Callable[[KeyPath], str]
"""From the path of an unknown key to what was probably meant, as a sentence."""

RowT = TypeVar("RowT", bound=Row)


def validated(
    model: type[RowT],
    document: Document,
    data: object,
    context: Mapping[str, Any],
    near_key: NearKey,
) -> tuple[RowT | None, list[PolicyError]]:
    """Return the model that `data` is; None and all errors where it is not.

    Args:
        model: Of the whole document.
        document: Knows the lines.
        data: The document's own, or a completed copy.
        context: For `policy.rows.known_names`.
        near_key: Says what an unknown key was meant to be.
    """
    try:
        return model.model_validate(data, context=dict(context) or None), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, [_located(document, line, near_key) for line in details]


def _located(document: Document, line: ErrorDetails, near_key: NearKey) -> PolicyError:
    path = line["loc"]
    context = line.get("ctx", {})
    match line["type"]:
        case "policy":
            return document.error(path, context["problem"], context["remedy"])
        case "missing":
            return document.error(path[:-1], f"`{path[-1]}` is missing", "Add it.")
        case "extra_forbidden":
            return document.error(path, f"unknown key `{path[-1]}`", near_key(path))
        case _:
            return document.error(path, _in_words_of_yaml(line["msg"]))


def _in_words_of_yaml(message: str) -> str:
    text = message.replace("Input should be", "it must be").replace('"', "")
    text = text.replace("a valid tuple", "a list").replace("a valid list", "a list")
    text = re.sub("a valid dictionary.*", "a mapping", text).replace("a valid string", "text")
    return text[0].lower() + text[1:]
