"""A persona's answer as it comes, with the OpenAI SDK."""

from openai import OpenAI


def main() -> None:
    client = OpenAI()  # OPENAI_BASE_URL says where the proxy is
    stream = client.chat.completions.create(
        model="architect",
        messages=[{"role": "user", "content": "Design a REST API for user management"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
        if chunk.usage is not None:
            print(f"\n[{chunk.usage.total_tokens} tokens, answered by {chunk.model}]")


if __name__ == "__main__":
    main()
