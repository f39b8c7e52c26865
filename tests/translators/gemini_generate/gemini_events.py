"""Native events for tests, in the words of the Gemini API."""

from typing import Any

Json = dict[str, Any]

USAGE: Json = {"promptTokenCount": 12, "candidatesTokenCount": 5, "totalTokenCount": 17}


def text(text: str) -> Json:
    return {"text": text}


def thought(text: str) -> Json:
    return {"text": text, "thought": True}


def call(name: str, id: str | None = None, **args: Any) -> Json:
    given = {} if id is None else {"id": id}
    return {"functionCall": {**given, "name": name, "args": args}}


def event(*parts: Json, usage: Any = None, **candidate: Any) -> Json:
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    return {
        "candidates": [{**content, "index": 0, **candidate}],
        "usageMetadata": USAGE if usage is None else usage,
        "modelVersion": "gemini-x",
        "responseId": "resp-1",
    }


def finished(reason: str | int = "STOP", *, usage: Any = None, **candidate: Any) -> Json:
    """The last event, or one of the last."""
    return event(usage=usage, finishReason=reason, **candidate)


def blocked(**feedback: Any) -> Json:
    """The only event of an answer to a prompt that was refused."""
    usage = {"promptTokenCount": 12, "totalTokenCount": 12}
    head = {"usageMetadata": usage, "modelVersion": "gemini-x", "responseId": "resp-1"}
    return {"promptFeedback": feedback, **head}


TWO_CALLS: list[Json] = [
    event(thought("Hm.")),
    event(text("Look.")),
    event(call("f", x=1)),
    event({"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}}),
    event(call("f", x=2)),
    finished(),
]
