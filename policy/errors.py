"""What can be wrong with a policy file."""

from collections.abc import Sequence

from translators.errors import ExecutionPlatformError

__all__ = ["PolicyError", "PolicyErrors", "raise_all"]


class PolicyError(ExecutionPlatformError):
    """The policy is wrong: where, what, and what would be right.

    Attributes:
        source: The file, as its user named it.
        line: The line, from 1; None where the error belongs to the file as a whole.
        key: The path of the key, for instance `personas.architect.requires[0]`; may be empty.
        problem: What is wrong.
        remedy: What to do; may be empty.
    """

    code = "invalid_policy"

    def __init__(
        self,
        source: str,
        line: int | None = None,
        key: str = "",
        problem: str = "",
        remedy: str = "",
    ) -> None:
        place = source if line is None else f"{source}:{line}"
        said = f"{key}: {problem}" if key else problem
        super().__init__(f"{place}: {said}.{' ' if remedy else ''}{remedy}")
        self.source = source
        self.line = line
        self.key = key
        self.problem = problem
        self.remedy = remedy

    @property
    def errors(self) -> tuple["PolicyError", ...]:
        """Every error that was found: this one."""
        return (self,)


class PolicyErrors(PolicyError):
    """Several things are wrong; the attributes are those of the first, the text has them all."""

    def __init__(self, errors: Sequence[PolicyError]) -> None:
        first = errors[0]
        super().__init__(first.source, first.line, first.key, first.problem, first.remedy)
        self.message = "\n".join(str(error) for error in errors)
        self.args = (self.message,)
        self._errors = tuple(errors)

    @property
    def errors(self) -> tuple[PolicyError, ...]:
        """Every error that was found, in the order of the file."""
        return self._errors


def raise_all(errors: Sequence[PolicyError]) -> None:
    """Raise what was found, if anything was.

    Raises:
        PolicyError: One error.
        PolicyErrors: Several.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise PolicyErrors(sorted(errors, key=lambda error: (error.source, error.line or 0)))
