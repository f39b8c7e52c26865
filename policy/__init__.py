"""Pure decisions: which targets serve a request, and what follows a failure.

Nothing here does I/O or reads a clock: texts, facts and times come in as arguments.
"""
