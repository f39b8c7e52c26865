"""What became of each call of a provider, kept with the request until it is over.

Metrics, the decision log and `GET /v1/ep/decisions/…` are made from it when the request ends:
nothing of theirs happens while an answer is under way.
"""

import msgspec

from proxy.call import AgentFacts
from translators.errors import ExecutionPlatformError
from translators.fidelity import Report
from translators.wire.response import Usage

__all__ = ["AttemptRecord"]


class AttemptRecord(msgspec.Struct, frozen=True):
    """One attempt that is over, or is looked at before it is; times in seconds.

    Attributes:
        number: From 1, over all targets of the request.
        reason: `initial`, `retry` (same target) or `fallback`.
        provider: Its name in the policy.
        model: The model that was asked.
        dialect: The API it was called by.
        started: `time.perf_counter()` when it began.
        first_chunk: From then until the commit point; None: it was not reached.
        seconds: From then until the attempt was over, or until now.
        status: The HTTP status of the provider's answer, if there was one.
        request_id: The provider's id of the request.
        follow_ups: Further requests that the answer took.
        report: What the dialect did not carry over as it stood.
        end_reason: `completed`, `client_disconnect`, `server_shutdown`, `upstream_error` or
            `internal_error`; empty while the attempt is under way.
        error: Why it failed, if it did.
        served_by: The model that answered, by the provider's own word.
        finish_reason: Of the answer, if it came so far.
        usage: Its token counts, as far as they were told.
        chunks: How many went to the client; of a whole answer, none.
        cost: In US dollars: by the policy's prices, else by an agent's own account; None: nobody
            knows.
        agent: What became of an agent's run; None: no agent was asked.
    """

    number: int
    reason: str
    provider: str
    model: str
    dialect: str
    started: float
    first_chunk: float | None
    seconds: float
    status: int | None
    request_id: str | None
    follow_ups: int
    report: Report
    end_reason: str
    error: ExecutionPlatformError | None
    served_by: str | None
    finish_reason: str | None
    usage: Usage | None
    chunks: int
    agent: AgentFacts | None
    cost: float | None = None
