"""The document that `GET /v1/ep/decisions/{request_id}` answers: what became of one request.

It holds no content, no key and no words of an error, which may hold either. All keys are always
there, but where it says otherwise, in this order; keys may be added.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from proxy.call import AgentFacts
from translators.wire.response import Usage

__all__ = [
    "CacheRecord",
    "CallRecord",
    "CandidateRecord",
    "DecisionRecord",
    "ErrorRecord",
    "Requirement",
    "Timings",
    "Verdict",
]

Verdict = Literal[
    "answered",  # its answer went to the client, or as much of it as the client waited for
    "kept",  # an answer that it gave before was given again
    "failed",  # it was asked, and failed
    "abandoned",  # it was asked, and nobody waited until its answer began
    "under_way",  # it is being asked
    "rejected",  # it was not asked, for `reason`; or its other API, once asked, could not take it
    "not_needed",  # it could have been asked, and was not, or not yet
]


class Requirement(msgspec.Struct, frozen=True, gc=False):
    """Something that the request needs.

    Attributes:
        capability: Its name.
        reason: What needs it: a parameter, or that the persona does.
    """

    capability: str
    reason: str


class CandidateRecord(msgspec.Struct, frozen=True, gc=False):
    """Somebody who was considered; the last three keys are there where it was rejected.

    Attributes:
        provider: Its name in the policy.
        model: The model that was asked, or would have been.
        verdict: What became of it.
        reason: Why it was rejected: `missing_capabilities`, `unavailable`, `gate` (its last answers
            to the persona fail a live gate) or `translation` (its API cannot express the request,
            or would ignore a part of a strict one).
        missing: The capabilities that it lacks, or the parameter that is not translated.
        detail: The same for people.
    """

    provider: str
    model: str
    verdict: Verdict
    reason: str | msgspec.UnsetType = msgspec.UNSET
    missing: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    detail: str | msgspec.UnsetType = msgspec.UNSET


class ErrorRecord(msgspec.Struct, frozen=True, gc=False):
    """Why something failed, in words from short lists.

    Attributes:
        kind: A provider's failure as our fallback table has it, or the name of our own refusal.
        type: The provider's own name for it.
        code: As in OpenAI's error object.
        param: The request's parameter at fault.
    """

    kind: str
    type: str | None
    code: str | None
    param: str | None


class CallRecord(msgspec.Struct, frozen=True, gc=False):
    """One attempt: one call of a provider; times in milliseconds.

    Attributes:
        number: From 1, over all candidates.
        reason: `initial`, `retry` (the same candidate once more) or `fallback`.
        provider: Its name in the policy.
        model: The model that was asked.
        dialect: The API it was called by.
        begin_ms: From the moment when the request had been read.
        first_chunk_ms: From its own begin until a part of the answer could go to the client (with
            an answer that is not streamed, all of it); null: none came.
        duration_ms: From its own begin until it was over, or until now.
        status: The HTTP status of the provider's answer.
        provider_request_id: The provider's id of the request, for its support.
        end_reason: `completed`, `client_disconnect`, `server_shutdown`, `upstream_error` or
            `internal_error`; null while it is under way.
        error: Why it failed.
        answered_by: The model that answered, by the provider's own word.
        finish_reason: Of its answer.
        usage: Its tokens, as OpenAI counts them.
        chunks: How many went to the client; 0 for an answer that is not streamed.
        follow_ups: Further requests that the answer took.
        ignored: Parameters that its API has no counterpart for.
        emulated: Parameters whose effect was reached by other means.
        agent: What became of an agent's run.
        cost_usd: What it cost, in US dollars, by the policy's prices, else by the agent's account.
    """

    number: int
    reason: str
    provider: str
    model: str
    dialect: str
    begin_ms: float
    first_chunk_ms: float | None
    duration_ms: float
    status: int | None
    provider_request_id: str | None
    end_reason: str | None
    error: ErrorRecord | None
    answered_by: str | None
    finish_reason: str | None
    usage: Usage | None
    chunks: int
    follow_ups: int
    ignored: Sequence[str]
    emulated: Sequence[str]
    agent: AgentFacts | None
    cost_usd: float | None


class CacheRecord(msgspec.Struct, frozen=True, gc=False):
    """What became of the request where its persona's answers are kept; times in seconds.

    Attributes:
        word: `hit` or `miss`.
        age: Since the answer was kept that was given again.
        why_not: Why a kept answer would not do, in one word.
    """

    word: str
    age: float | None
    why_not: str | None


class Timings(msgspec.Struct, frozen=True, gc=False):
    """Where the time went, in milliseconds.

    Attributes:
        overhead_ms: The proxy's own, until the answer began.
        waited_ms: For providers, until the answer began.
        total_ms: From the moment when the request had been read until it was over, or until now.
    """

    overhead_ms: float
    waited_ms: float
    total_ms: float


class DecisionRecord(msgspec.Struct, frozen=True, gc=False):
    """What is known of one request; all keys are always there.

    Attributes:
        request_id: `x-request-id`.
        trace_id: Of its trace; null: there is none.
        time: Seconds since the epoch, when it had been read; or when it was refused unread.
        state: `running` or `over`.
        key: The name of the client key that made it; null: it came without one of this server's,
            and is in the log alone.
        persona: What it asked for; null: it could not be read.
        policy_generation: Of the policy that served it; null: none did.
        stream: Whether its answer was to be streamed; null: it could not be read.
        strict: Whether it said `x-ep-strict: true`.
        status: The HTTP status of the response, if one was begun.
        end_reason: How it ended: as in `CallRecord`; null while it runs, or if it was refused
            unread.
        error: Why it failed.
        reason: Why the first who was to be asked was the first.
        gates_set_aside: Whether candidates were asked although their live gates were open, for
            there were no others.
        required: What it needs.
        candidates: All who were considered, in the order of preference.
        attempts: The calls of providers, in their order.
        provider: Whose answer it was, or who was asked last.
        model: The model that was asked there.
        answered_by: The model that answered, by the provider's own word.
        finish_reason: Of the answer.
        usage: Its tokens.
        chunks: How many went to the client.
        ignored: Parameters that were not carried over to that provider.
        emulated: Parameters whose effect was reached there by other means.
        reasoning_restored: Calls of the conversation whose reasoning was put back.
        cache: Null: the persona's answers are not kept.
        timings: Null: it was refused unread.
        object: `decision`.
    """

    request_id: str
    trace_id: str | None
    time: float
    state: Literal["running", "over"]
    key: str | None
    persona: str | None
    policy_generation: int | None
    stream: bool | None
    strict: bool
    status: int | None
    end_reason: str | None
    error: ErrorRecord | None
    reason: str | None = None
    gates_set_aside: bool = False
    required: Sequence[Requirement] = ()
    candidates: Sequence[CandidateRecord] = ()
    attempts: Sequence[CallRecord] = ()
    provider: str | None = None
    model: str | None = None
    answered_by: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    chunks: int = 0
    ignored: Sequence[str] = ()
    emulated: Sequence[str] = ()
    reasoning_restored: int = 0
    cache: CacheRecord | None = None
    timings: Timings | None = None
    object: Literal["decision"] = "decision"
