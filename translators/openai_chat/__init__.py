"""OpenAI Chat Completions: OpenAI itself and every compatible server."""
