"""An answer in the form of a pydantic model, whatever provider gives it."""

from openai import OpenAI
from pydantic import BaseModel


class Endpoint(BaseModel):
    method: str
    path: str


class Api(BaseModel):
    name: str
    endpoints: list[Endpoint]


def main() -> None:
    answer = OpenAI().chat.completions.parse(
        model="architect",
        messages=[{"role": "user", "content": "Design an API for a library of books"}],
        response_format=Api,
    )
    api = answer.choices[0].message.parsed
    assert api is not None
    print(f"{api.name}: {len(api.endpoints)} endpoints")
    for endpoint in api.endpoints:
        print(f"  {endpoint.method} {endpoint.path}")


if __name__ == "__main__":
    main()
