"""Anthropic's Messages API: its own, and the ones in the clouds of Google, Amazon and Microsoft."""

from dataclasses import replace
from functools import partial

from policy.schema import ProviderRow
from proxy.discovery import DiscoveringTransport, Discovery, asked_model
from proxy.http import HttpClient, HttpTransport
from proxy.provider import Provider
from proxy.providers.over_http import (
    HttpProvider,
    RewritingTransport,
    error_map,
    http_provider,
    http_transport,
)
from translators.anthropic_messages.errors import error_from_response
from translators.anthropic_messages.models import ModelProfile, profile_of
from translators.anthropic_messages.translator import AnthropicMessagesTranslator

__all__ = ["create", "own_transport"]


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpProvider:
    """Return the provider of a row of dialect `anthropic_messages`.

    The key goes into `x-api-key`, which Anthropic and every server of its dialect read;
    `authorization: Bearer`, the newer form, is understood by Anthropic alone.
    """
    match row.credentials:
        case "vertex":
            return _on_vertex(row, client)
        case "bedrock":
            return _on_bedrock(row, key, client)
        case "foundry":
            # Both, as the anthropic SDK sends it (2.12, `lib/foundry.py`).
            credentials = {} if key is None else {"x-api-key": key, "api-key": key}
            return http_provider(
                row,
                client=client,
                credentials=credentials,
                translator=_in_a_cloud(row),
                error_from_response=error_from_response,
            )
        case None:
            transport = own_transport(row, key=key, client=client)
    translator = AnthropicMessagesTranslator(default_max_tokens=row.default_max_tokens)
    if not row.discover:
        return Provider(translator, transport, error_map(error_from_response))
    discovery = Discovery(partial(asked_model, transport))
    return Provider(
        replace(translator, profiles=discovery.profile),
        DiscoveringTransport(transport, discovery),
        error_map(error_from_response),
    )


def own_transport(row: ProviderRow, *, key: str | None, client: HttpClient) -> HttpTransport:
    """Return the transport of a row that is in no cloud."""
    credentials = {} if key is None else {row.api_key_header or "x-api-key": key}
    return http_transport(row, client=client, credentials=credentials)


def _in_a_cloud(row: ProviderRow) -> AnthropicMessagesTranslator:
    return AnthropicMessagesTranslator(
        default_max_tokens=row.default_max_tokens, profiles=_profile_in_a_cloud
    )


def _profile_in_a_cloud(model: str) -> ModelProfile:
    # What the clouds make of the beta header that goes with bound thoughts is not known.
    return replace(profile_of(model), bound_thoughts=False)


# Imported where they are needed: other rows need nothing of them.


def _on_vertex(row: ProviderRow, client: HttpClient) -> HttpProvider:
    from proxy.providers.vertex import GoogleToken, claude_error, claude_on_vertex  # noqa: PLC0415

    token = GoogleToken()
    transport = http_transport(row, client=client, credentials={}, authorize=token)
    rewrite = claude_on_vertex(row.project or "", row.location or "")
    map_error = error_map(token.dropped_by(claude_error))
    return Provider(_in_a_cloud(row), RewritingTransport(transport, rewrite), map_error)


def _on_bedrock(row: ProviderRow, key: str | None, client: HttpClient) -> HttpProvider:
    from proxy.providers.bedrock import AwsSignature, claude_on_bedrock  # noqa: PLC0415

    credentials, authorize = {}, None
    if key is None:
        authorize = AwsSignature(row.region or "")
    else:
        credentials = {"authorization": f"Bearer {key}"}
    transport = http_transport(row, client=client, credentials=credentials, authorize=authorize)
    return Provider(
        _in_a_cloud(row),
        RewritingTransport(transport, claude_on_bedrock),
        error_map(error_from_response),
    )
