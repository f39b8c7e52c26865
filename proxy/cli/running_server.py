"""What a running server says, for the commands that ask one."""

from policy.schema import Timeouts
from proxy.environment import load_environment
from proxy.http import HttpClient, HttpStatusError, HttpTransport
from proxy.http_client.options import ClientOptions
from proxy.ticker import Ticker
from translators.errors import ProviderError

__all__ = ["base_of", "get"]


def base_of(url: str) -> str:
    """Return the address of a server, however a user names it: SDKs want `/v1` behind it."""
    return url.rstrip("/").removesuffix("/v1")


async def get(url: str, path: str, key: str) -> tuple[int, bytes]:
    """Return the status and the body of what stands at a path.

    Args:
        url: Of the server, as its user names it.
        path: With a leading slash.
        key: A client key; empty: none.

    Raises:
        ProviderError: No answer came, or it broke off.
    """
    ticker = Ticker()
    # Settings of the client may stand in `.env`, as for the server.
    client = HttpClient(ticker, ClientOptions.of(load_environment()))
    headers = {"authorization": f"Bearer {key or 'none'}"}
    server = HttpTransport(client, base_of(url), headers, "", Timeouts())
    try:
        return 200, await server.get(path, {})
    except HttpStatusError as error:
        return error.status, error.body
    except ProviderError as error:
        # The transport speaks of providers; this is the user's own server.
        why = error.message.replace("The provider", "The server", 1)
        raise ProviderError(
            f"{why} Is it running? Start it with `execution-platform serve`, or name another one "
            "with --url.",
            kind=error.kind,
        ) from error
    finally:
        await client.aclose()
        ticker.close()
