"""OpenAI's Responses API: `POST /responses`."""
