"""`explain --request-id`: what became of a request that a running server has served."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from proxy.cli.running_server import base_of, get
from proxy.cli.table import columns
from proxy.decisions.document import CallRecord, CandidateRecord, DecisionRecord, ErrorRecord
from proxy.environment import load_environment
from proxy.logs.lines import clock, printable
from proxy.remote import told
from translators.errors import ExecutionPlatformError
from translators.json import UNREADABLE
from translators.wire.response import Usage

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print the record.

    Raises:
        ExecutionPlatformError: The server does not have it, or is none of ours.
    """
    key = load_environment().get("EP_API_KEY", "").strip()
    path = f"/v1/ep/decisions/{quote(options.request_id, safe='')}"
    status, body = asyncio.run(get(options.url, path, key))
    if status != 200:
        raise told(body) or _not_ours(options.url)
    try:
        record = msgspec.json.decode(body, type=DecisionRecord)
    except (*UNREADABLE, msgspec.ValidationError):
        raise _not_ours(options.url) from None
    if options.json:
        sys.stdout.write(body.decode() + "\n")
    else:
        print("\n".join(printable(line) for line in _lines(record)))
    return 0


def _not_ours(url: str) -> ExecutionPlatformError:
    return ExecutionPlatformError(
        f"The server at {base_of(url)} does not tell of requests: it is none of ours, or another "
        "version of it."
    )


def _lines(record: DecisionRecord) -> list[str]:
    lines = columns(_facts(record)).split("\n")
    lines += _part("The request needs", [(one.capability, one.reason) for one in record.required])
    candidates = [_candidate(one) for one in record.candidates]
    lines += _part("Candidates, in the order of preference", candidates)
    lines += _part("Attempts, with milliseconds from the request", _calls(record.attempts))
    carried = [("ignored", name) for name in record.ignored]
    carried += [("emulated", name) for name in record.emulated]
    return lines + _part("Not carried over as it stood", carried)


def _part(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return ["", title, *columns(rows, indent="  ").split("\n")] if rows else []


def _facts(record: DecisionRecord) -> list[tuple[str, str]]:
    when = clock(record.time)
    if record.timings is not None:
        spent = record.timings
        when += (
            f", {spent.total_ms:.0f} ms: {spent.waited_ms:.0f} for providers until the answer "
            f"began, {spent.overhead_ms:.1f} of the proxy's own"
        )
    facts = [
        ("Request", record.request_id),
        ("Trace", record.trace_id or "none"),
        ("Persona", record.persona or "unknown: the request could not be read"),
        ("Key", record.key or "none"),
        ("Policy", f"generation {record.policy_generation or '-'}"),
        ("When", when),
        ("Outcome", _outcome(record)),
    ]
    if record.error is not None:
        facts.append(("Error", _error(record.error)))
    if record.provider is not None:
        by = f", answered by {record.answered_by}" if record.answered_by else ""
        facts.append(("Provider", f"{record.provider}/{record.model}{by}"))
    if record.reason is not None:
        aside = "; live gates were set aside" if record.gates_set_aside else ""
        facts.append(("Reason", record.reason + aside))
    if record.usage is not None:
        facts.append(("Tokens", _usage(record.usage)))
    if record.cache is not None:
        facts.append(("Cache", _cache(record)))
    if record.strict:
        facts.append(("Strict", "nothing may be ignored (x-ep-strict)"))
    return facts


def _outcome(record: DecisionRecord) -> str:
    if record.state == "running":
        return "still running"
    parts = [f"status {record.status}" if record.status else "no response"]
    parts += [record.end_reason] if record.end_reason else ["refused before it was read"]
    if record.finish_reason:
        parts.append(f"finish reason {record.finish_reason}")
    if record.stream:
        parts.append(f"a stream of {record.chunks} chunks")
    return ", ".join(parts)


def _cache(record: DecisionRecord) -> str:
    cache = record.cache
    if cache is None:
        return ""
    if cache.age is not None:
        return f"an answer of {cache.age:g} s ago was given again"
    return f"a new answer ({cache.why_not})" if cache.why_not else "a new answer"


def _usage(usage: Usage) -> str:
    return f"{usage.prompt_tokens} of the prompt, {usage.completion_tokens} of the answer"


def _candidate(candidate: CandidateRecord) -> tuple[str, str, str, str]:
    reason = candidate.reason or ""
    said = f"{reason}: {candidate.detail}" if candidate.detail else reason
    return candidate.provider, candidate.model, candidate.verdict.replace("_", " "), said


def _calls(calls: Sequence[CallRecord]) -> list[tuple[str, ...]]:
    return [
        (
            str(call.number),
            call.reason,
            f"{call.provider}/{call.model}",
            call.dialect,
            f"{call.begin_ms:.0f}+{call.duration_ms:.0f}",
            "-" if call.status is None else str(call.status),
            _end(call),
        )
        for call in calls
    ]


def _end(call: CallRecord) -> str:
    parts = [call.end_reason or "under way"]
    if call.error is not None:
        parts.append(_error(call.error))
    if call.first_chunk_ms is not None:
        parts.append(f"first chunk after {call.first_chunk_ms:.0f} ms")
    if call.provider_request_id:
        parts.append(f"id {call.provider_request_id}")
    if call.agent is not None and call.agent.turns is not None:
        parts.append(f"{call.agent.turns} calls of an agent")
    return ", ".join(parts)


def _error(error: ErrorRecord) -> str:
    words = dict.fromkeys(word for word in (error.kind, error.type, error.code) if word)
    said = ", ".join(words)
    return f"{said} ({error.param})" if error.param else said
