"""Quality Fabric: keeps the results of test runs, and judges them by quality gates.

`README.md` in this folder says how to use it. One service in two forms with one interface: the
embedded one opens a SQLite file itself, the remote one is the same behind HTTP.
"""
