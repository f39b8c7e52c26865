"""How the log is written: each record and each request is one line, as JSON or for people."""
