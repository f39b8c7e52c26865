"""What is asked: requests in each API, small and large, and what a right answer to them is."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from tests.benchmarks.programs import WIRE

Api = Literal["openai", "anthropic", "gemini"]
Size = Literal["small", "large"]
APIS: tuple[Api, ...] = ("openai", "anthropic", "gemini")
NAMES = {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini"}
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
}
ENDS = {"openai": "[DONE]", "anthropic": '"message_stop"', "gemini": '"STOP"'}
"""What is in the last bytes of a stream that is whole."""

SENTENCE = (WIRE / "sentence.txt").read_text()
MARK = re.compile(r"@T\d{18}@")
SYSTEM = "You are a careful engineer. Answer in a short paragraph and say when you are not sure."


@dataclass(frozen=True)
class Work:
    """One kind of request.

    Attributes:
        stream: Whether the answer is streamed.
        size: Of the request: two messages, or fifty and twenty tools.
        chunks: Pieces of text in a stream.
        gap: Milliseconds between them; 0: as fast as they are read.
        text: Bytes of text in an answer that is not streamed.
    """

    stream: bool = False
    size: Size = "small"
    chunks: int = 20
    gap: float = 0
    text: int = 1000

    @property
    def marks(self) -> int:
        """How many marks of the upstream an answer has."""
        return self.chunks if self.stream else 1

    def prompt(self) -> str:
        steer = f"chunks={self.chunks} gap={self.gap} size={self.text}"
        return f"Tell me something about proxies. [bench {steer}]"

    def path(self, api: Api, model: str) -> str:
        if api == "openai":
            return "/v1/chat/completions"
        if api == "anthropic":
            return "/v1/messages"
        method = "streamGenerateContent?alt=sse" if self.stream else "generateContent"
        return f"/v1beta/models/{model}:{method}"

    def body(self, api: Api, model: str) -> bytes:
        """Return the request in one API's own words."""
        body = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}[api](self, model)
        return json.dumps(body).encode()

    def turns(self) -> list[tuple[str, str]]:
        """Return role and text of each message but the system's, the prompt last."""
        if self.size == "small":
            return [("user", self.prompt())]
        # 48 turns of 300 bytes before the prompt: with the system's, fifty messages.
        text = (SENTENCE * 3)[:300].strip()
        roles = ("user", "assistant") * 24
        return [(role, f"{number}. {text}") for number, role in enumerate(roles)] + [
            ("user", self.prompt())
        ]

    def tools(self) -> list[dict[str, Any]]:
        """Return twenty tools for a large request: name, description, parameters."""
        if self.size == "small":
            return []
        properties = {
            f"field_{n}": {"type": "string", "description": f"The {n}th thing to look for."}
            for n in range(6)
        }
        schema = {"type": "object", "properties": properties, "required": ["field_0", "field_1"]}
        return [
            {
                "name": f"look_up_{number}",
                "description": f"Looks up records of kind {number}. " + SENTENCE.strip(),
                "parameters": schema,
            }
            for number in range(20)
        ]


def _openai(work: Work, model: str) -> dict[str, Any]:
    turns = [("system", SYSTEM), *work.turns()]
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": role, "content": text} for role, text in turns],
        "temperature": 0.7,
        "max_tokens": 256,
    }
    if work.tools():
        body["tools"] = [{"type": "function", "function": tool} for tool in work.tools()]
    if work.stream:
        body["stream"] = True
    return body


def _anthropic(work: Work, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "system": SYSTEM,
        "messages": [{"role": role, "content": text} for role, text in work.turns()],
        "temperature": 0.7,
        "max_tokens": 256,
    }
    if work.tools():
        body["tools"] = [
            {
                "name": tool["name"],
                "description": tool["description"],
                "input_schema": tool["parameters"],
            }
            for tool in work.tools()
        ]
    if work.stream:
        body["stream"] = True
    return body


def _gemini(work: Work, model: str) -> dict[str, Any]:
    del model  # It is in the path.
    body: dict[str, Any] = {
        "systemInstruction": {"parts": [{"text": SYSTEM}]},
        "contents": [
            {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
            for role, text in work.turns()
        ],
        "generationConfig": {"temperature": 0.7, "maxOutputTokens": 256},
    }
    if work.tools():
        body["tools"] = [{"functionDeclarations": work.tools()}]
    return body


def wrong_with(work: Work, api: Api, body: bytes) -> str | None:
    """Return what is wrong with an answer in an API's words; None: it is right to the letter."""
    try:
        text, finished = (_streamed if work.stream else _whole)(api, body.decode())
    except (ValueError, LookupError, TypeError) as error:
        return f"it cannot be read ({error!r})"
    marks = len(MARK.findall(text))
    if marks != work.marks:
        return f"{marks} pieces of text instead of {work.marks}"
    rest = MARK.sub("", text)
    said = " " * work.chunks if work.stream else (SENTENCE * work.text)[: work.text] + " "
    if rest != said:
        return "another text than was sent"
    return None if finished else "no word that it is complete"


def _whole(api: Api, body: str) -> tuple[str, bool]:
    answer = json.loads(body)
    if api == "openai":
        choice = answer["choices"][0]
        return choice["message"]["content"], choice["finish_reason"] == "stop"
    if api == "anthropic":
        return answer["content"][0]["text"], answer["stop_reason"] == "end_turn"
    candidate = answer["candidates"][0]
    return candidate["content"]["parts"][0]["text"], candidate["finishReason"] == "STOP"


def _streamed(api: Api, body: str) -> tuple[str, bool]:
    text = ""
    for line in body.splitlines():
        data = line.removeprefix("data:").strip()
        if data == line or data == "[DONE]":
            continue
        event = json.loads(data)
        if api == "openai":
            for choice in event["choices"]:
                text += choice["delta"].get("content") or ""
        elif api == "anthropic":
            text += event.get("delta", {}).get("text", "")
        else:
            text += event["candidates"][0]["content"]["parts"][0]["text"]
    return text, ENDS[api] in body[-512:]
