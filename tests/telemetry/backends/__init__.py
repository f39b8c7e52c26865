"""Where the tests look traces up: a sink of their own, or a real Jaeger, by the same questions."""
