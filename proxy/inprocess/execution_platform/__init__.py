"""Execution Platform inside a Python program: no server, the same engine.

* `execution_platform.router`: `PersonaRouter`, where a program begins.
* `execution_platform.spi`: requests and answers as dataclasses, and the client's protocol.
* `execution_platform.exceptions`: everything that is raised on purpose.

Importing loads no vendor's SDK and opens nothing. `proxy/inprocess/README.md` shows its use.
"""
