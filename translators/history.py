"""Where an API's rules for a conversation are stricter than OpenAI's: words put in, and refusals.

The words are fixed, so that a conversation that grows keeps the turns it had.
"""

from typing import Final

from translators.errors import TranslationError
from translators.fidelity import ReportBuilder
from translators.wire.content import FunctionMessage, Message

__all__ = [
    "EMPTY",
    "INSTRUCTION",
    "OPENING",
    "cannot_continue",
    "report_name",
    "result_without_call",
]

INSTRUCTION: Final = "[System instruction] "
"""Before an instruction that has to stand among the user's words."""

OPENING: Final = "(The conversation begins.)"
"""In place of the user's first words, where the conversation has none."""

EMPTY: Final = "(No content.)"
"""In place of a message with nothing in it."""


def report_name(message: Message, report: ReportBuilder) -> None:
    """Report the name of who speaks; that of a function says whose result it is."""
    if getattr(message, "name", None) and not isinstance(message, FunctionMessage):
        report.ignored("messages[].name")


def result_without_call(path: str, report: ReportBuilder) -> TranslationError:
    """Return the error for a result whose call is not in the answer before it."""
    return report.reject(
        path, "it must name a call of the assistant's message right before it, once."
    )


def cannot_continue(report: ReportBuilder) -> TranslationError:
    """Return the error for a last message of the assistant's, which the model will not go on."""
    return report.reject(
        "messages",
        "the last message is the assistant's, and this model does not continue an "
        "answer that was begun for it; end with a user message.",
    )
