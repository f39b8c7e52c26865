"""Gemini `generateContent`."""
