"""The fidelity contract: for each request field and each dialect there is one verdict.

* `native`: the target has the same thing.
* `emulated`: we reach the same effect by other means, and say so.
* `ignored`: a tuning hint without a counterpart; accepted, not sent, and reported.
* `rejected`: losing it would change what the caller gets; a 400 that names the field.

The table of a dialect stands beside its translator. A field that no table knows is `ignored`,
or passed on where the dialect is OpenAI's own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from translators.errors import TranslationError
from translators.wire.request import ChatCompletionRequest

__all__ = ["Report", "ReportBuilder", "Rule", "Rules", "Verdict"]

Verdict = Literal["native", "emulated", "ignored", "rejected"]


@dataclass(frozen=True, slots=True)
class Rule:
    """The verdict on one field.

    Attributes:
        verdict: What happens to the field.
        neutral: Values that ask for nothing, such as `n=1`: they are never reported or rejected.
        reason: For the matrix and for the text of a rejection.
    """

    verdict: Verdict
    neutral: tuple[object, ...] = ()
    reason: str = ""


class Rules:
    """The verdicts of a dialect on the fields of a request, made ready for every request.

    Args:
        by_name: The rules, by the field's name.

    Attributes:
        by_name: The same.
        quiet: The names of those that need no look before the translator's own: most requests
            have no others.
    """

    __slots__ = ("by_name", "quiet")

    def __init__(self, by_name: Mapping[str, Rule]) -> None:
        self.by_name = by_name
        quiet = (name for name, rule in by_name.items() if rule.verdict in ("native", "emulated"))
        self.quiet = _BY_PART.union(quiet)


@dataclass(frozen=True, slots=True)
class Report:
    """What a translation did not carry over as it stood; paths such as `seed`."""

    ignored: tuple[str, ...] = ()
    emulated: tuple[str, ...] = ()


class ReportBuilder:
    """Collects the verdicts of one translation; each path is kept once, in order."""

    __slots__ = ("_dialect", "_emulated", "_ignored")

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._ignored: dict[str, None] = {}
        self._emulated: dict[str, None] = {}

    def ignored(self, path: str) -> None:
        """Say that `path` was not carried over."""
        self._ignored[path] = None

    def ignored_fields(
        self, path: str, fields: Mapping[str, object], *, known: frozenset[str] = frozenset()
    ) -> None:
        """Say that `fields` of `path` were not carried over, but for `known` and empty ones."""
        for name, value in fields.items():
            if name not in known and value not in (None, "", [], {}):
                self.ignored(f"{path}.{name}")

    def emulated(self, path: str) -> None:
        """Say that `path` was reached by other means."""
        self._emulated[path] = None

    def reject(self, path: str, reason: str) -> TranslationError:
        """Return the error to raise for a field this dialect cannot express."""
        return TranslationError(
            f"`{path}` cannot be sent to the `{self._dialect}` API: {reason}", param=path
        )

    def begin(self, chat: ChatCompletionRequest, rules: Rules) -> None:
        """Give every set field of a request its verdict, but for those that get it part by part.

        Raises:
            TranslationError: A field is set that the dialect rejects.
        """
        if told := chat.model_fields_set - rules.quiet:
            # In the order of the fields, which is that of the report.
            self.apply(((name, value) for name, value in chat if name in told), rules.by_name)
        if chat.stream_options is not None:
            if chat.stream_options.include_obfuscation:
                self.ignored("stream_options.include_obfuscation")
            self.ignored_fields("stream_options", chat.stream_options.model_extra or {})

    def apply(self, fields: Iterable[tuple[str, object]], rules: Mapping[str, Rule]) -> None:
        """Give every set top-level field its verdict.

        `native` and `emulated` fields are left to the translator, which knows whether the
        emulation was needed.

        Raises:
            TranslationError: A field is set that the dialect rejects.
        """
        for name, value in fields:
            rule = rules.get(name, UNKNOWN)
            if value is None or any(value == neutral for neutral in rule.neutral):
                continue
            if rule.verdict == "ignored":
                self.ignored(name)
            elif rule.verdict == "rejected":
                raise self.reject(name, rule.reason)

    def build(self) -> Report:
        """Return the finished report."""
        if not (self._ignored or self._emulated):
            return _ALL_CARRIED_OVER
        return Report(tuple(self._ignored), tuple(self._emulated))


_ALL_CARRIED_OVER = Report()

_BY_PART = frozenset({"messages", "tools", "functions", "response_format"})

UNKNOWN = Rule("ignored", reason="not a field of the Chat Completions API")
