"""What the policy says of answers that are kept for repeated requests."""

from pydantic import Field, model_validator

from policy.media import MIB
from policy.rows import Row, problem, problems

__all__ = ["CacheRule", "ResponseCacheRow"]


class CacheRule(Row):
    """A persona whose answers are kept.

    Attributes:
        ttl: Seconds that an answer may be given again.
    """

    ttl: float = Field(gt=0, le=366 * 24 * 3600)


class ResponseCacheRow(Row):
    """How much is kept, of the answers of all personas together.

    Attributes:
        max_entries: Answers, in the memory of one server process.
        max_bytes: The same, in bytes.
        max_answer_bytes: Of one answer, wherever it is kept; larger ones are not.
    """

    max_entries: int = Field(default=10_000, ge=1)
    max_bytes: int = Field(default=64 * MIB, ge=1024)
    max_answer_bytes: int = Field(default=MIB, ge=1)

    @model_validator(mode="after")
    def _an_answer_has_room(self) -> "ResponseCacheRow":
        if self.max_answer_bytes > self.max_bytes:
            wrong = problem(
                f"this is more than all answers together may have, {self.max_bytes}",
                "Lower it, or raise `max_bytes`.",
            )
            raise problems([(("max_answer_bytes",), wrong)])
        return self
