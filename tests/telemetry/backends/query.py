"""Questions to Jaeger's query service, version 3 of its API; the sink answers them as well."""

from typing import Any, Final

import httpx

__all__ = ["Query"]

_SECONDS: Final = 10.0


class Query:
    """Asks over one connection.

    Args:
        url: Of the service: its UI's address.
    """

    def __init__(self, url: str) -> None:
        # Reading the certificates of the world takes longer than most tests.
        self._client = httpx.Client(base_url=url, trust_env=False, verify=False, timeout=_SECONDS)

    def services(self) -> list[str]:
        """Return the services that have sent spans.

        Raises:
            httpx.HTTPError: Nobody answers there, or not so.
        """
        answer = self._client.get("/api/v3/services")
        answer.raise_for_status()
        return list(answer.json().get("services") or ())

    def trace(self, id: str) -> dict[str, Any] | None:
        """Return a trace as it was exported; None while nothing of it has come.

        Without `raw_traces` Jaeger moves spans in time where clocks seem to differ.

        Raises:
            httpx.HTTPError: Nobody answers there, or not so.
        """
        answer = self._client.get(f"/api/v3/traces/{id}", params={"raw_traces": "true"})
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
