"""What shows that a CLI is none that we know how to talk to, or none that answers."""

from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout

__all__ = ["SlowCli", "UnknownCli"]


class SlowCli(ProviderTimeout):
    """The CLI did not begin in time; nothing reached the API."""

    def __init__(self, seconds: float) -> None:
        super().__init__("connect", seconds)
        self.message = (
            f"The Claude CLI was not ready within {seconds:g} s: the machine is busy, or the "
            "program hangs. `execution-platform doctor` tries it; fewer `processes` in its row "
            "leave more of the machine to each."
        )
        self.args = (self.message,)


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
