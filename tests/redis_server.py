"""A Redis of the tests' own: on loopback, on a free port, with nothing on disk."""

import shutil
import socket
import subprocess
import tempfile
import time
from typing import Self

import pytest

from tests.providers import closed_port

__all__ = ["RedisServer", "redis_server_missing"]

_START_SECONDS = 20.0
PASSWORD = "redis-password-51f2c9"


def redis_server_missing() -> str | None:
    """Return what to do where there is no Redis on this machine; None where there is."""
    if shutil.which("redis-server") is not None:
        return None
    return "there is no redis-server here: `make test` installs it as root, or apt-get does"


class RedisServer:
    """A process that lasts as long as the block, unless it is stopped before."""

    def __init__(self, port: int | None = None) -> None:
        if (missing := redis_server_missing()) is not None:
            pytest.skip(missing)
        self.port = port or closed_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._folder = tempfile.TemporaryDirectory(prefix="ep-redis-")
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no"}
        options |= {"dir": self._folder.name, "requirepass": PASSWORD}
        self._process = subprocess.Popen(
            ["redis-server", *(word for name in options for word in (f"--{name}", options[name]))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"-NOAUTH", b"+PONG"))
        except OSError:
            return False

    def stop(self) -> None:
        """End it; what it held is gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()
