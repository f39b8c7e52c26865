"""What is submitted: a test suite and its results, bounded in every direction."""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self, cast

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from policy.spelling import did_you_mean, listed
from proxy.quality.errors import InvalidSuite

__all__ = [
    "MAX_DURATION",
    "MAX_FACTS",
    "MAX_MESSAGE",
    "MAX_NAME",
    "MAX_RESULTS",
    "Identifier",
    "Record",
    "Status",
    "TestResult",
    "TestSuite",
    "check_identifier",
    "one_line",
    "parse_suite",
    "shortened",
    "validated_suite",
]

MAX_RESULTS: Final = 50_000
"""Results of one suite."""

MAX_NAME: Final = 2_000
"""Characters of a name; generated test names are long."""

MAX_MESSAGE: Final = 10_000
"""Characters of a result's message."""

MAX_FACTS: Final = 100
"""Facts about the environment of one suite."""

MAX_DURATION: Final = 366 * 24 * 3600 * 1000.0
"""Milliseconds: a year."""

_SHOWN = 5
"""Errors that one refusal tells."""

Status = Literal["passed", "failed", "error", "skipped"]
"""`failed`: what was tested is wrong. `error`: the test itself broke, so nothing is known."""

IDENTIFIER: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""An id or a project: what can stand in a URL as it is."""

Identifier = Annotated[str, Field(pattern=IDENTIFIER, max_length=128)]


def check_identifier(value: str, what: str) -> str:
    """Return a value that is an identifier.

    Raises:
        InvalidSuite: It is none.
    """
    if not re.fullmatch(IDENTIFIER.strip("^$"), value):
        raise InvalidSuite(
            f"`{value[:100]}` cannot be a {what}: write up to 128 letters, digits, `.`, `_` and "
            "`-`, beginning with a letter or a digit.",
            param=what,
        )
    return value


Line = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text of one line; any characters but control characters."""


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    # No numbers: seconds or milliseconds, of which epoch? Pydantic would guess from the size.
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise PydanticCustomError(
            "moment", "it must be a date and time with its offset, as 2026-11-30T12:00:00Z"
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("moment", "it lies outside the years 1 to 9999") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""A date and time with its offset; kept in UTC."""


class Record(BaseModel):
    """Base of what is kept and answered: strict types, no unknown fields, never changed."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class TestResult(Record):
    """What came of one test; made with a wrong value it raises `pydantic.ValidationError`."""

    __test__: ClassVar[bool] = False  # pytest would take the class for a test

    name: Line
    """Of the test; one name may stand there several times, for instance after a rerun."""

    status: Status
    """`failed`: what was tested is wrong. `error`: the test itself broke, so nothing is known."""

    duration_ms: Annotated[float, Field(ge=0, le=MAX_DURATION)] = 0.0
    """Milliseconds."""

    message: Annotated[str, Field(max_length=MAX_MESSAGE)] | None = None
    """Why it failed, broke or was skipped."""


def _new_id() -> str:
    return uuid.uuid4().hex


class TestSuite(Record):
    """One run of a suite of tests; never changes once it was submitted.

    Made with a wrong value it raises `pydantic.ValidationError`, a `ValueError`.
    """

    __test__: ClassVar[bool] = False

    id: Identifier = Field(default_factory=_new_id)
    """Chosen by who submits, or made; submitting the same suite under the same id again is safe."""

    project: Identifier | None = None
    """The project it belongs to; may be left out, for it stands in the address."""

    name: Line
    """Of the suite: the same for each of its runs."""

    started_at: Moment | None = None
    """When the run began."""

    ended_at: Moment | None = None
    """When the run ended."""

    environment: Annotated[
        dict[Annotated[Line, Field(max_length=200)], Annotated[str, Field(max_length=MAX_NAME)]],
        Field(max_length=MAX_FACTS),
    ] = Field(default_factory=dict[str, str])
    """Facts about where it ran: versions, machine, commit."""

    results: Annotated[
        tuple[TestResult, ...], Field(strict=False, max_length=MAX_RESULTS), FailFast()
    ] = ()
    """Of each test."""

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        if self.started_at and self.ended_at and self.ended_at < self.started_at:
            raise PydanticCustomError("moment", "`ended_at` lies before `started_at`")
        return self

    def canonical(self) -> bytes:
        """Return the JSON that is kept: two suites are the same if these bytes are.

        What has its default is left out, so that a field added later changes no old suite.
        """
        facts = dict(sorted(self.environment.items()))
        ordered = self.model_copy(update={"environment": facts})
        return ordered.model_dump_json(exclude_defaults=True).encode()


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters; one that was cut says so in its middle."""
    if len(text) <= most:
        return text
    mark = f" [… {len(text) - most} characters or more left out …] "
    head = (most - len(mark)) // 2
    return text[:head] + mark + text[len(text) - (most - len(mark) - head) :]


def one_line(text: str) -> str:
    """Return a text as a `Line` may be: without control characters, not too long, not empty."""
    clean = "".join(
        c if ord(c) >= 32 and ord(c) != 127 else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    # A lone surrogate is no character, and no JSON either.
    encodable = clean.encode("utf-8", "replace").decode()
    return shortened(encodable, MAX_NAME) or "-"


def parse_suite(body: bytes, project: str) -> TestSuite:
    """Read a submitted suite.

    Args:
        body: JSON.
        project: Where it is submitted to.

    Raises:
        InvalidSuite: It is no suite, or one of another project; `param` names the first place.
    """
    try:
        data = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidSuite(f"The body is not JSON: {error}.", code="invalid_json") from None
    return _of_project(_suite(data), project)


def validated_suite(suite: TestSuite | Mapping[str, Any], project: str) -> TestSuite:
    """Return a suite made in Python, or what is one, as `parse_suite` would.

    Raises:
        InvalidSuite: It is no suite, or one of another project.
    """
    # Made by `model_construct` or `model_copy`, one of the class may still be wrong.
    data: Any = suite
    if isinstance(suite, TestSuite):
        data = suite.model_dump()
    elif isinstance(suite, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  who knows
        data = dict(suite)
    return _of_project(_suite(data), project)


def _suite(data: Any) -> TestSuite:
    _refuse_excess(data)
    try:
        return TestSuite.model_validate(data)
    except ValidationError as error:
        raise _invalid(error) from None


def _refuse_excess(data: Any) -> None:
    """Refuse what is wrong in too many places before pydantic makes an error of each.

    A body of 16 MB would become 10 GB of errors. Behind this there are a few for each bounded
    part, and of the results only those of the first that is wrong.
    """
    if not isinstance(data, dict):
        return
    suite = cast("dict[str, Any]", data)
    _refuse_unknown(suite, TestSuite, "")
    facts, results = suite.get("environment"), suite.get("results")
    if isinstance(facts, dict) and len(cast("dict[str, Any]", facts)) > MAX_FACTS:
        raise InvalidSuite(f"`environment` has more than {MAX_FACTS} facts.", param="environment")
    if not isinstance(results, list | tuple):
        return
    rows = cast("Sequence[Any]", results)
    if len(rows) > MAX_RESULTS:
        raise InvalidSuite(
            f"The suite has {len(rows)} results; one may have {MAX_RESULTS}. Submit it in parts.",
            param="results",
        )
    for index, row in enumerate(rows):
        if isinstance(row, dict):
            _refuse_unknown(cast("dict[str, Any]", row), TestResult, f"results[{index}].")


def _refuse_unknown(data: Mapping[str, Any], model: type[Record], before: str) -> None:
    if data.keys() <= model.model_fields.keys():
        return
    unknown = next(str(name) for name in data if name not in model.model_fields)
    hint = did_you_mean(unknown, model.model_fields)
    known = listed(model.model_fields)
    raise InvalidSuite(
        f"`{before}{unknown[:100]}` is no field. {hint or f'The fields are {known}.'}",
        param=f"{before}{unknown[:100]}",
    )


def _of_project(suite: TestSuite, project: str) -> TestSuite:
    if suite.project not in (None, project):
        raise InvalidSuite(
            f"The suite says that it belongs to the project `{suite.project}`, and is submitted "
            f"to `{project}`. Submit it there, or leave `project` out.",
            param="project",
        )
    return suite.model_copy(update={"project": project})


def _invalid(error: ValidationError) -> InvalidSuite:
    details = error.errors(include_url=False, include_input=False)
    said = [_in_words(detail) for detail in details[:_SHOWN]]
    return InvalidSuite(" ".join(said), param=_place(details[0]) or None)


def _in_words(detail: ErrorDetails) -> str:
    place = _place(detail)
    match detail["type"]:
        case "missing":
            return f"`{place}` is missing."
        case "string_pattern_mismatch" if detail.get("ctx", {}).get("pattern") != IDENTIFIER:
            return f"`{place}`: it must be text without control characters and line ends."
        case "string_pattern_mismatch":
            return (
                f"`{place}`: write up to 128 letters, digits, `.`, `_` and `-`, beginning with a "
                "letter or a digit."
            )
        case _:
            message = detail["msg"].replace("Input should be", "it must be")
            message = re.sub("a valid dictionary.*", "an object", message)
            message = message.replace("a valid tuple", "a list").replace("a valid string", "text")
            return f"`{place or 'suite'}`: {message[0].lower()}{message[1:]}."


def _place(detail: ErrorDetails) -> str:
    text = ""
    for step in detail["loc"]:
        name = str(step)[:100]
        text += f"[{step}]" if isinstance(step, int) else (f".{name}" if text else name)
    return text
