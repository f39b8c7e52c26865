"""What a request costs before it is translated: to be read, decided on, and made its persona's.

Run from the root of the checkout: `python -m tests.benchmarks.decide`.
"""

from policy.decision import weigh
from policy.personas import apply
from tests.benchmarks.micro import SIZES, body, microseconds, policy, print_row
from tests.benchmarks.work import APIS
from translators.reasoning import bare_calls, has_reasoning
from translators.remote_media import remote_media
from translators.wire.request import ChatCompletionRequest, parse_request


def scan(chat: ChatCompletionRequest) -> None:
    """Look for what most requests do not have: reasoning, and media at an address."""
    bare_calls(chat.messages)
    list(remote_media(chat))
    has_reasoning(chat)


def main() -> None:
    personas = policy().personas
    availability: dict[str, str | None] = dict.fromkeys(APIS)
    for name, size in SIZES.items():
        print(f"{name}:")
        number = 2000 if size == "small" else 200
        data = body("anthropic", size)
        print_row("  read", microseconds(lambda data=data: parse_request(data), number))
        chat = parse_request(data)
        steps = {
            "  decide": lambda chat=chat: weigh(chat, policy(), availability),
            "  apply the persona": lambda chat=chat: apply(chat, personas[chat.model]),
            "  look for what is rare": lambda chat=chat: scan(chat),
        }
        for step, call in steps.items():
            print_row(step, microseconds(call, number))


if __name__ == "__main__":
    main()
