"""What a program does about a refusal, a rate limit and an answer that broke off."""

import openai
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam


def user(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def main() -> None:
    client = OpenAI(max_retries=0)
    try:
        client.chat.completions.create(model="architekt", messages=user("Hello"))
    except openai.NotFoundError as error:
        print(f"no such persona: {error.message}")

    try:
        client.chat.completions.create(
            model="qa_engineer", messages=user("Hello [sandbox fail=429 retry_after=30]")
        )
    except openai.RateLimitError as error:
        print(f"come back in {error.response.headers['retry-after']} s")

    # An answer that broke off raises; one that merely ends is whole.
    said = ""
    try:
        stream = client.chat.completions.create(
            model="architect",
            messages=user("Tell me more [sandbox words=50 cut=8]"),
            stream=True,
        )
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""
    except openai.APIError as error:
        print(f"it broke off after {len(said.split())} words: {error.message}")


if __name__ == "__main__":
    main()
