"""Gemini `generateContent`, as `generativelanguage.googleapis.com` speaks it.

Sources: google-genai 3.4, recordings, and the service's error texts as users have quoted them.
"""
