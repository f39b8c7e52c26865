"""Configuration of a router: the server's own, read again only where something has changed.

A program may make a router for each call, and reading the policy takes ten milliseconds. Routers
that read the same have the same `Configuration` object, which is what they share connections by.
"""

from collections.abc import Mapping
from dataclasses import replace

from proxy.environment import ConfigurationError, load_environment, non_empty
from proxy.file_watch import stamp
from proxy.service import Configuration, load_configuration
from proxy.telemetry.metrics.metering import check_metering
from proxy.telemetry.setup import TelemetryError, check_telemetry

__all__ = ["configuration"]

_MOST_KNOWN = 16

_known: dict[frozenset[tuple[str, str]], Configuration] = {}


def configuration(given: Mapping[str, str]) -> Configuration:
    """Return what environment, `.env` and policy say, with `given` variables over them.

    The log of decisions is for servers: here it is written only where `EP_LOG_LEVEL` is set.

    Raises:
        ConfigurationError: A variable is wrong.
        PolicyError: The policy file is wrong.
    """
    environment = {**load_environment(), **given}
    key = frozenset(environment.items())
    known = _known.get(key)
    if known is not None and all(stamp(path) == was for path, was in known.stamps.items()):
        return known
    found = load_configuration(given)
    try:
        check_telemetry(found.environment)
        check_metering(found.environment)
    except TelemetryError as error:
        raise ConfigurationError(str(error)) from None
    if "EP_LOG_LEVEL" not in non_empty(environment):
        found = replace(found, settings=replace(found.settings, log_level="warning"))
    while len(_known) >= _MOST_KNOWN:
        _known.pop(next(iter(_known)), None)
    _known[key] = found
    return found
