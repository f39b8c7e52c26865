"""Runs the application under uvicorn."""

import asyncio
import errno
import importlib
import logging
import math
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing import reduction
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from proxy.addresses import is_loopback
from proxy.app import create_app
from proxy.config import ConfigurationError, Settings
from proxy.connection import Connection
from proxy.hangup import has_terminal
from proxy.logs.lines import format_for
from proxy.logs.records import logging_config
from proxy.service import Configuration, access_of
from proxy.workers import shared_folder, worker_folder

__all__ = ["Server", "bind", "log_config", "run"]

KEEP_ALIVE: Final = 75
"""Seconds an idle client connection is kept; the official SDKs keep theirs for longer than
uvicorn's default of five and would lose requests in the race."""

BACKLOG: Final = 2048
"""Connections that wait to be taken: 64 at once come while a large request is translated. The
system may allow fewer (`net.core.somaxconn`, 4096 on Linux)."""

TICK: Final = 1.0
"""Seconds between two looks at the clock, for the `date` of answers."""

log = logging.getLogger("execution_platform")


class Listener(socket.socket):
    """A socket to listen on, which server processes have and nothing that they start.

    multiprocessing hands it to workers, as it does with any socket, but there it could be inherited
    by what a worker starts: uvloop closes nothing in a new process. A CLI that outlived a killed
    server would keep its port.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Say how a worker comes by it."""
        handle = reduction.DupFd(self.fileno())
        return _received, (handle, self.family, self.type, self.proto)


def _received(handle: Any, *kind: int) -> Listener:
    listener = Listener(*kind, fileno=handle.detach())
    listener.set_inheritable(False)
    return listener


class Server(uvicorn.Server):
    """uvicorn's server, which sleeps while nobody asks.

    Args:
        config: Of uvicorn.
        on_started: Called when it listens.
    """

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signalled = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def main_loop(self) -> None:
        """Keep the `date` of answers right until a signal says that it is over.

        uvicorn looks ten times a second whether one came. Each look wakes the process, and costs
        100 µs where nothing of it is in the processor's caches.
        """
        self._loop = asyncio.get_running_loop()
        try:
            while not await self.on_tick(0):
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK):
                        await self._signalled.wait()
        finally:
            # What the next signals ask for is looked at elsewhere.
            self._loop = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; called between any two steps of the program."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._signalled.set)


class _Workers(Multiprocess):
    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._terminal = has_terminal()
        self._known: set[int] = set()

    def handle_hup(self) -> None:
        if self._terminal and not has_terminal():
            self.handle_term()
            return
        # uvicorn would replace every worker, and lose what they keep. Each takes a changed policy
        # itself; one that has not started yet would be ended by the signal, and reads it anyhow.
        for worker in self.processes:
            if worker.pid is not None and worker.is_ready(timeout=1):
                os.kill(worker.pid, signal.SIGHUP)

    def keep_subprocess_alive(self) -> None:
        self._known |= self._living()
        super().keep_subprocess_alive()
        living = self._living()
        for pid in self._known - living:
            _forget_worker(pid)
        self._known = living

    def _living(self) -> set[int]:
        return {worker.pid for worker in self.processes if worker.pid is not None}

    def terminate_all(self) -> None:
        # The workers close their own copies. While this one is open, the system goes on to take
        # connections that nobody will ever answer.
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _forget_worker(pid: int) -> None:
    """Take out of the metrics what a worker was doing; what it had done stays in them."""
    if (folder := shared_folder()) is not None:
        # Imported here: a parent whose workers live has no use for it.
        module = importlib.import_module("proxy.telemetry.metrics.prometheus")
        module.forget_process(pid, folder)


def bind(configuration: Configuration, *, insecure: bool) -> socket.socket:
    """Return the socket to listen on.

    Args:
        configuration: Address, port and client keys.
        insecure: Listen on any address although there are no client keys.

    Raises:
        ConfigurationError: The address is not to be had, or everybody could use the keys
            of the operator through it.
    """
    settings = configuration.settings
    if access_of(configuration).open and not insecure and not is_loopback(settings.host):
        raise ConfigurationError(
            f"Without client keys the server listens on loopback only, not on `{settings.host}`: "
            "anybody who reaches it could use your providers. Set EP_CLIENT_KEYS, or add "
            "`client_keys` to the policy, or insist with --insecure-no-auth."
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named: asyncio sets TCP_NODELAY only then, and each answer would wait 40 ms.
    listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        what = "another program listens there already; choose another port with --port or EP_PORT"
        if error.errno != errno.EADDRINUSE:
            what = error.strerror or str(error)
        raise ConfigurationError(
            f"The server cannot listen on {settings.host}:{settings.port}: {what}."
        ) from None
    return listener


def log_config(settings: Settings) -> dict[str, Any]:
    """Return how the log of this process is written, and of those that it starts."""
    return logging_config(settings.log_level, format_for(settings.log_format))


def _warn_of_slow_loop() -> None:
    log.warning(
        "uvloop is not installed: the server runs on asyncio's own event loop, which takes 24 µs "
        "more of the CPU for each request. All else is the same."
    )


def run(
    configuration: Configuration,
    listener: socket.socket,
    *,
    on_started: Callable[[], None],
    create: Callable[[Configuration], ASGIApp] = create_app,
) -> None:
    """Serve until a signal; open answers may then go on for the drain time.

    Args:
        configuration: Read and checked.
        listener: Bound, not yet listening.
        on_started: Called when requests are accepted (with several workers: when they are
            about to be).
        create: Makes the application: a function of some module, callable without an argument,
            too.
    """
    settings = configuration.settings
    several = settings.workers > 1
    has_uvloop = find_spec("uvloop") is not None
    config = uvicorn.Config(
        # Worker processes read the environment anew: a configuration cannot be sent to them.
        f"{create.__module__}:{create.__qualname__}" if several else create(configuration),
        factory=several,
        workers=settings.workers,
        loop="uvloop" if has_uvloop else "asyncio",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=log_config(settings),
        log_level="warning" if settings.log_level in ("debug", "info") else settings.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout),
    )
    if not has_uvloop:
        _warn_of_slow_loop()
    if several:
        on_started()
        with worker_folder():
            _Workers(config, sockets=[listener]).run()
    else:
        Server(config, on_started).run(sockets=[listener])
