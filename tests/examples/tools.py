"""Tools: the model calls them, this program carries them out, the model answers."""

import json

from openai import OpenAI
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam

WEATHER = {"Oslo": "rain, 4 °C", "Rome": "sun, 21 °C"}
TOOLS: list[ChatCompletionFunctionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city, now.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "enum": list(WEATHER)}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]


def main() -> None:
    client = OpenAI()
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "What is it like in Oslo? Use get_weather."}
    ]
    while True:
        answer = client.chat.completions.create(model="code_writer", messages=messages, tools=TOOLS)
        message = answer.choices[0].message
        if not message.tool_calls:
            print(message.content)
            return
        # As it came: a model's thoughts before its calls are in it, and go back with it.
        messages.append(message.to_dict())  # pyright: ignore[reportArgumentType]
        for call in message.tool_calls:
            if call.type == "function":
                city = json.loads(call.function.arguments)["city"]
                print(f"get_weather({city})")
                messages.append({"role": "tool", "tool_call_id": call.id, "content": WEATHER[city]})


if __name__ == "__main__":
    main()
