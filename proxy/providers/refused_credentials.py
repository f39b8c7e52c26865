"""What there is to say where a cloud's credentials cannot be had."""

from typing import Final

from translators.errors import ProviderError

__all__ = ["BROKEN", "RefusedCredentials"]

BROKEN: Final = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""What botocore and google-auth let through where a file, a program's answer or a variable is not
what they expect: a program or file that is missing, no JSON, a list for an object."""


class RefusedCredentials(ProviderError):
    """The proxy has no credentials to send.

    The text is for the operator, who reads it in a client or a log: it names the command that
    says more, and nothing of what was found, which may be a secret.

    Args:
        cloud: Its name.
        why: An exception's name, or a code of OAuth's.
        remedy: A clause that says what to do.
    """

    def __init__(self, cloud: str, why: str, remedy: str) -> None:
        super().__init__("", kind="auth", native_type=why)
        self.message = (
            f"The proxy's own {cloud} credentials cannot be had ({why}). It is for the proxy's "
            f"operator to mend: {remedy}."
        )
        self.args = (self.message,)
