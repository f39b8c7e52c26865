"""OpenAI Responses, as `api.openai.com` speaks it (openai 3.54 and recordings)."""
