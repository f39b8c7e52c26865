"""What a command needs that asks the providers themselves."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from policy.schema import Policy
from proxy.availability import api_keys, availability, with_sandbox
from proxy.http import HttpClient
from proxy.http_client.options import ClientOptions
from proxy.service import Configuration
from proxy.ticker import Ticker

__all__ = ["Asking", "asking"]


@dataclass(frozen=True, slots=True)
class Asking:
    """The providers, and how to reach them.

    Attributes:
        policy: Its providers are on the sandbox where that was asked for.
        reasons: For each provider, why it cannot be asked, or None.
        keys: By provider.
        client: Ends with the block.
    """

    policy: Policy
    reasons: Mapping[str, str | None]
    keys: Mapping[str, SecretStr]
    client: HttpClient

    def key(self, provider: str) -> str | None:
        """Return the key of a provider, if it has one."""
        return self.keys[provider].get_secret_value() if provider in self.keys else None


@asynccontextmanager
async def asking(configuration: Configuration) -> AsyncGenerator[Asking]:
    """Open what is needed to ask the providers of a configuration; leaving closes it."""
    policy, environment = configuration.policy, configuration.environment
    async with AsyncExitStack() as stack:
        if configuration.settings.sandbox:
            # Imported here: without the sandbox none of it is needed.
            from proxy.sandbox.server import SandboxServer  # noqa: PLC0415

            policy = with_sandbox(policy, await stack.enter_async_context(SandboxServer()))
        options = ClientOptions.of(environment, configuration.settings.http_client)
        ticker = Ticker()
        stack.callback(ticker.close)
        client = HttpClient(ticker, options)
        stack.push_async_callback(client.aclose)
        yield Asking(
            policy, availability(policy, environment), api_keys(policy, environment), client
        )
