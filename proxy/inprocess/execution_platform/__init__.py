"""The in-process API of Execution Platform. Its modules come with a later version."""
