"""Who answered, after how many attempts, and what of the request was not carried over."""

import openai
from openai import OpenAI

QUESTIONS = ("Hello", "Hello [sandbox fail=529 provider=anthropic]")
"""On the sandbox Anthropic is overloaded then; elsewhere the instruction is just text."""


def main() -> None:
    client = OpenAI()
    for question in QUESTIONS:
        raw = client.chat.completions.with_raw_response.create(
            model="architect", messages=[{"role": "user", "content": question}], seed=7
        )
        print(f"answered by {raw.parse().model}")
        for name in ("x-ep-provider", "x-ep-attempts", "x-ep-ignored-params", "x-request-id"):
            print(f"  {name}: {raw.headers.get(name, '-')}")

    # With `x-ep-strict` nothing is ignored: a provider that takes all of it is asked, or none.
    try:
        strict = client.chat.completions.with_raw_response.create(
            model="architect",
            messages=[{"role": "user", "content": "Hello"}],
            logit_bias={"50256": -100},
            extra_headers={"x-ep-strict": "true"},
        )
        print(f"all of it was taken by {strict.headers['x-ep-provider']}")
    except openai.BadRequestError as error:
        print(f"nobody takes {error.param}")


if __name__ == "__main__":
    main()
