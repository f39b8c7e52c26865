"""JSON that the native API cannot enforce: asked for in the prompt, found, checked, mended.

A translator puts `instruction` into the prompt and the contract into its `Translated`; whoever
talks to the provider checks the answer with `JsonCheck` and sends `repair_message` once.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from translators.json import encode
from translators.json_schema import Problem, SchemaCheck, schema_check
from translators.protocol import JsonContract

__all__ = ["Finding", "JsonCheck", "Problem", "instruction", "repair_message"]


def instruction(contract: JsonContract) -> str:
    """Return what to add to the system prompt."""
    if contract.schema is None:
        return f"Your final answer must be {_FORM.format('JSON object')}"
    # Not sorted, and by the same encoder every time: the prompt's cache depends on it.
    return (
        f"Your final answer must be {_FORM.format('JSON value')} "
        f"It must be valid against this JSON schema:\n{encode(contract.schema).decode()}"
    )


_FORM = "one {} and nothing else: no words before or behind it, no code fence."


class Finding(NamedTuple):
    """What became of the search for JSON in a text.

    Attributes:
        json: The JSON, as the model wrote it; None where there is none that will do.
        start: Where it stands in the text, in characters.
        problems: Why none will do.
    """

    json: str | None
    start: int = 0
    problems: tuple[Problem, ...] = ()


class _Candidate(NamedTuple):
    start: int
    text: str
    value: Any


class JsonCheck:
    """Finds the JSON in a text and checks it.

    Attributes:
        contract: What is asked for.

    Raises:
        TranslationError: The contract's schema cannot be checked.
    """

    __slots__ = ("_schema", "contract")

    def __init__(self, contract: JsonContract) -> None:
        self.contract = contract
        self._schema: SchemaCheck | None = None
        if contract.schema is not None:
            self._schema = schema_check(contract.schema)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Keywords of the schema that are left out of the check."""
        return self._schema.unchecked if self._schema is not None else ()

    def find(self, text: str) -> Finding:
        """Return the JSON that the text is, has in a code fence, or has between its words.

        Of several that will do the longest: an example between words is short.
        """
        problems: tuple[Problem, ...] = ()
        try:
            for candidates in _searches(text):
                candidates.sort(key=lambda candidate: -len(candidate.text))
                for candidate in candidates[:_MOST_CANDIDATES]:
                    found = self._problems(candidate.value)
                    if not found:
                        return Finding(candidate.text, candidate.start)
                    problems = problems or found
        except ValueError as error:
            problems = problems or (Problem("", "json", f"it is no JSON: {error}"),)
        except RecursionError:
            problems = problems or (Problem("", "json", "it is nested too deeply"),)
        return Finding(None, problems=problems or (Problem("", "json", "there is no JSON in it"),))

    def _problems(self, value: Any) -> tuple[Problem, ...]:
        if self._schema is not None:
            return self._schema.problems(value)
        return () if isinstance(value, dict) else (Problem("$", "type", "it is no JSON object"),)


_MOST_CANDIDATES = 8


def repair_message(contract: JsonContract, problems: tuple[Problem, ...]) -> str:
    """Return what to say to the model after an answer with these problems.

    The schema is said again: the model may so far know only what the native API takes of it.
    """
    lines = [f"- at {p.place}: {p.text}" if p.place else f"- {p.text}" for p in problems]
    wrong = "Your answer is not the JSON that was asked for:"
    again = "Answer again with the corrected JSON. " + instruction(contract)
    return "\n".join((wrong, *lines, again))


def _searches(text: str) -> Iterator[list[_Candidate]]:
    """Yield the JSON values in a text: all of it, or those in code fences, or between words.

    Raises:
        ValueError: An object begins that is none: nothing inside of it is an answer.
    """
    whole = _decoded(text, 0)
    if whole is not None:
        yield [whole]
        return
    if not text.lstrip().startswith("{"):
        # Otherwise a fence would stand in a string of the object.
        yield list(_fenced(text))
    yield list(_embedded(text))


def _decoded(text: str, start: int) -> _Candidate | None:
    stripped = text.strip()
    try:
        value = _DECODER.decode(stripped)
    except ValueError:
        return None
    return _Candidate(start + text.index(stripped), stripped, value)


def _fenced(text: str) -> Iterator[_Candidate]:
    position = 0
    for number, part in enumerate(text.split(_FENCE)):
        if number % 2:
            word = _LANGUAGE.match(part)
            skipped = word.end() if word else 0
            found = _decoded(part[skipped:], position + skipped)
            if found is not None:
                yield found
        position += len(part) + len(_FENCE)


def _embedded(text: str) -> Iterator[_Candidate]:
    match = _OBJECT.search(text)
    while match is not None:
        start = match.start()
        value, end = _DECODER.raw_decode(text, start)
        yield _Candidate(start, text[start:end], value)
        match = _OBJECT.search(text, end)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_FENCE = "```"
_LANGUAGE = re.compile(r"[\w-]*(?=\s)")
_OBJECT = re.compile(r'\{(?=\s*["}])')
"""The beginning of an object: braces stand between words for other reasons, too."""
