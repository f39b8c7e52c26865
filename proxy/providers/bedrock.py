"""Amazon's cloud: signatures for Bedrock's endpoint that speaks the Messages API (`mantle`).

Its streams are server-sent events, so that nothing but the signature is special. Only botocore
is used, which does the signing in the anthropic SDK as well (`lib/aws/_auth.py`, 2.12): 0.15 s
and 25 MB instead of 1.5 s and 80 MB. A Bedrock API key needs not even that.
"""

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from proxy.providers.refused_credentials import BROKEN, RefusedCredentials
from translators.anthropic_messages.models import profile_of
from translators.errors import ProviderError
from translators.protocol import HttpRequest

__all__ = ["AwsSignature", "claude_on_bedrock"]

SERVICE: Final = "bedrock-mantle"

_LARGE: Final = 256 * 1024
"""Bytes of a body whose hash is made in a thread: below, the thread would cost more."""


class AwsSignature:
    """Signs each request with what the chain of botocore's credential providers finds.

    The chain is searched with the first request, and credentials that end are renewed, both in a
    thread: they may come from a file, a command, or a server.

    Args:
        region: The region that the signature is for.
        load: Returns botocore's credentials, or None; None: the chain.
    """

    def __init__(self, region: str, load: Callable[[], Any] | None = None) -> None:
        self._region = region
        self._load = load or _chain
        self._credentials: Any = None
        self._search: asyncio.Task[Any] | None = None

    async def __call__(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers that carry the signature.

        Raises:
            ProviderError: There are no credentials, or they cannot be renewed.
        """
        frozen = await self._current()
        if len(body) > _LARGE:
            return await asyncio.to_thread(_signed, frozen, self._region, url, body)
        return _signed(frozen, self._region, url, body)

    async def _current(self) -> Any:
        """Return credentials as they are now: key, secret and session token."""
        needs_renewal = getattr(self._credentials, "refresh_needed", None)
        if self._credentials is not None and (needs_renewal is None or not needs_renewal()):
            return self._credentials.get_frozen_credentials()
        if self._search is None or self._search.done():
            self._search = asyncio.create_task(asyncio.to_thread(self._renewed))
            self._search.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Others wait for it, too: who leaves must not take it along.
        return await asyncio.shield(self._search)

    def _renewed(self) -> Any:
        exceptions: Any = import_module("botocore.exceptions")
        try:
            credentials = self._credentials or self._load()
            frozen = None if credentials is None else credentials.get_frozen_credentials()
        except exceptions.HTTPClientError as error:
            raise ProviderError("AWS cannot be reached for credentials.", kind="network") from error
        except (exceptions.BotoCoreError, exceptions.ClientError, *BROKEN) as error:
            # `ClientError` is an answer of STS or SSO, and no `BotoCoreError`.
            raise _refused(type(error).__name__) from error
        if frozen is None:
            raise _refused("NoCredentialsError")
        self._credentials = credentials
        return frozen


def _refused(why: str) -> ProviderError:
    remedy = (
        "`aws sts get-caller-identity` with the proxy's user and environment says what is wrong "
        "with its profile, its `credential_process` or its `AWS_*` variables"
    )
    return RefusedCredentials("AWS", why, remedy)


def _chain() -> Any:
    session: Any = import_module("botocore.session")
    return session.get_session().get_credentials()


def _signed(credentials: Any, region: str, url: str, body: bytes) -> dict[str, str]:
    auth: Any = import_module("botocore.auth")
    awsrequest: Any = import_module("botocore.awsrequest")
    # Only what is certain to arrive as it is sent: a proxy may change all other headers.
    signed = {"content-type": "application/json"}
    request = awsrequest.AWSRequest(method="POST", url=url, data=body, headers=signed)
    auth.SigV4Auth(credentials, SERVICE, region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def claude_on_bedrock(request: HttpRequest) -> HttpRequest:
    """Return a request as Bedrock takes it: the newer API version only for models from 4.7 on.

    The older version takes all that the newer one does.
    """
    if not profile_of(str(request.body["model"])).sampling:
        return request
    headers = {**request.headers, "anthropic-version": "2023-06-01"}
    return HttpRequest(request.path, request.body, headers)
