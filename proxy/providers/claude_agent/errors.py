"""What shows that a CLI is none that we know how to talk to."""

from translators.errors import ProviderError

__all__ = ["UnknownCli"]


class UnknownCli(ProviderError):
    """The CLI did not take what it was told; nothing reached the API."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The Claude CLI {what}: it is of a version that is not known here. Use the one that "
            "comes with the Claude Agent SDK.",
            kind="protocol",
        )

    @classmethod
    def left_out(cls, what: str) -> "UnknownCli":
        """Return the error for a call that lacks something."""
        return cls(f"left {what} out of its call of the API")

    @classmethod
    def refused(cls, said: str) -> "UnknownCli":
        """Return the error for settings that were not taken."""
        return cls(f"refused its settings ({said})")
