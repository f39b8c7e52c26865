"""Everything that is raised on purpose.

    ExecutionPlatformError
      RouterError             refused before a provider was asked
        UnknownPersona        no such persona; also a `ValueError`
        NoProvider            nobody can serve the persona, or this request
        InvalidRequest        the request is malformed (`param` says where)
        TranslationError      no provider's API can express the request
        AccessDenied          of a running proxy: the client key is wrong, or not for this persona
        …
      ConfigurationError      a variable, `.env` or an argument of `PersonaRouter` is wrong
      PolicyError             the policy file is wrong, with its line
      ProviderError           a provider answered badly, or not at all
        TimeoutError          it took too long; also a builtin `TimeoutError`
        StreamTruncated       its answer stopped before the end

What `chat`, `chat_sync`, `get_client` and `select_provider` raise has, whatever its class:

* `message`, with what to do about it; `code`, `type` and `param` as in OpenAI's API;
* `status`: the provider's HTTP status; where there was none, that of a server that reports this;
* `provider`: who failed, or None;
* `retry_after`: seconds after which a retry may succeed, or None;
* `request_id`: the provider's id of the request, else ours, which spans and log lines carry.
"""

from policy.errors import PolicyError
from proxy.environment import ConfigurationError
from translators.errors import (
    AccessDenied,
    ExecutionPlatformError,
    InvalidRequest,
    NoProvider,
    ProviderError,
    RouterError,
    StreamTruncated,
    TimeoutError,
    TranslationError,
    UnknownPersona,
)

__all__ = [
    "AccessDenied",
    "ConfigurationError",
    "ExecutionPlatformError",
    "InvalidRequest",
    "NoProvider",
    "PolicyError",
    "ProviderError",
    "RouterError",
    "StreamTruncated",
    "TimeoutError",
    "TranslationError",
    "UnknownPersona",
]
