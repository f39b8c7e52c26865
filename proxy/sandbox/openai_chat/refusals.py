"""The error objects of the OpenAI API, in its own words."""

from typing import Any

from proxy.sandbox.dialect import Rejection

__all__ = [
    "above_maximum",
    "below_minimum",
    "invalid_type",
    "invalid_value",
    "missing",
    "refuse",
    "unknown_parameter",
    "unsupported_parameter",
    "unsupported_value",
]


def refuse(
    message: str, param: str | None, code: str | None = None, *, status: int = 400
) -> Rejection:
    """Return an `invalid_request_error`."""
    return Rejection(
        status,
        {"message": message, "type": "invalid_request_error", "param": param, "code": code},
    )


def missing(param: str) -> Rejection:
    """Return the refusal of an absent field."""
    return refuse(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def unknown_parameter(param: str) -> Rejection:
    """Return the refusal of a field inside an object that has no such field."""
    return refuse(f"Unknown parameter: '{param}'.", param, "unknown_parameter")


def invalid_type(param: str, wanted: str, value: Any) -> Rejection:
    """Return the refusal of a value of the wrong JSON type."""
    message = f"Invalid type for '{param}': expected {wanted}, but got {_described(value)} instead."
    return refuse(message, param, "invalid_type")


def invalid_value(param: str, value: str, supported: tuple[str, ...]) -> Rejection:
    """Return the refusal of a word that is not among the supported ones."""
    listed = _listed(supported)
    message = f"Invalid value: '{value}'. Supported values are: {listed}."
    return refuse(message, param, "invalid_value")


def below_minimum(param: str, value: float, minimum: float) -> Rejection:
    """Return the refusal of a number that is too small."""
    kind = "integer" if isinstance(value, int) else "decimal"
    message = (
        f"Invalid '{param}': {kind} below minimum value. "
        f"Expected a value >= {minimum}, but got {value} instead."
    )
    return refuse(message, param, f"{kind}_below_min_value")


def above_maximum(param: str, value: float, maximum: float) -> Rejection:
    """Return the refusal of a number that is too large."""
    kind = "integer" if isinstance(value, int) else "decimal"
    message = (
        f"Invalid '{param}': {kind} above maximum value. "
        f"Expected a value <= {maximum}, but got {value} instead."
    )
    return refuse(message, param, f"{kind}_above_max_value")


def unsupported_parameter(param: str, hint: str = "") -> Rejection:
    """Return the refusal of a field that this model does not know."""
    message = f"Unsupported parameter: '{param}' is not supported with this model.{hint}"
    return refuse(message, param, "unsupported_parameter")


def unsupported_value(param: str, value: str, hint: str = "") -> Rejection:
    """Return the refusal of a value that this model does not know."""
    message = f"Unsupported value: '{param}' does not support {value} with this model.{hint}"
    return refuse(message, param, "unsupported_value")


def _listed(words: tuple[str, ...]) -> str:
    quoted = [f"'{word}'" for word in words]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def _described(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
