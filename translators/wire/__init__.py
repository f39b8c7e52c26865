"""OpenAI's Chat Completions wire format, as of openai 3.54."""
