"""What the sandbox knows of Gemini models: which exist, and what each accepts.

Sources: recordings, the release notes as summarised in our wire reference, and quoted 400s.
A name that tells no version is taken for a 2.5 Flash.
"""

import re
from dataclasses import dataclass

from proxy.sandbox.gemini_generate import refusals
from proxy.sandbox.jsontypes import JsonObject

__all__ = ["Traits", "described", "known", "listed", "served", "traits"]

_LISTED = (
    "gemini-3.8-flash",
    "gemini-3.7-flash",
    "gemini-3.6-flash",
    "gemini-3.5-flash",
    "gemini-3.5-flash-lite",
    "gemini-3.1-pro-preview",
    "gemini-3.1-flash-lite",
    "gemini-3-flash-preview",
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.0-flash",
    "gemini-flash-latest",
    "gemini-flash-lite-latest",
    "gemini-pro-latest",
)
# An alias is answered in the name of the model behind it (recorded for the first two).
_ALIASES = {
    "gemini-flash-latest": "gemini-3.6-flash",
    "gemini-3-pro-preview": "gemini-3.1-pro-preview",
    "gemini-flash-lite-latest": "gemini-3.1-flash-lite",
    "gemini-pro-latest": "gemini-3.1-pro-preview",
}
_NAME = re.compile(r"gemini-(?P<major>\d)(?:\.(?P<minor>\d))?-(?P<line>flash-lite|flash|pro)")
# Names of this kind are known to the version v1beta only.
_BETA_ONLY = re.compile(r"-latest$|-preview|-exp|-tts")


@dataclass(frozen=True, slots=True)
class Traits:
    """A model's line and version, and what follows from them."""

    name: str
    line: str
    version: tuple[int, int]

    @property
    def thinks(self) -> bool:
        """Whether the model can think."""
        return (self.version >= (2, 5) or "thinking" in self.name) and not self.modalities

    @property
    def thinks_unasked(self) -> bool:
        """Whether it does so by itself, and signs its calls then."""
        return self.thinks and (self.line, self.version) != ("flash-lite", (2, 5))

    @property
    def third(self) -> bool:
        """Whether it is of the third generation: calls have ids, signatures are demanded."""
        return self.version >= (3, 0)

    @property
    def reads_ids(self) -> bool:
        """Whether calls and responses may carry ids (recorded on 2.5)."""
        return self.version >= (2, 5)

    @property
    def newest(self) -> bool:
        """Whether it takes neither penalties nor a last turn of the model's own."""
        return self.version >= ((3, 5) if self.line == "flash-lite" else (3, 6))

    @property
    def levels(self) -> tuple[str, ...]:
        """The accepted `thinkingLevel` values."""
        if not self.third:
            return ()
        if self.line == "pro":
            return ("LOW", "HIGH") if self.version < (3, 1) else ("LOW", "MEDIUM", "HIGH")
        usual = ("LOW", "MEDIUM", "HIGH")
        return usual if self.version >= (3, 7) else ("MINIMAL", *usual)

    @property
    def budgets(self) -> tuple[int, int]:
        """The least and the greatest `thinkingBudget` other than 0 and -1."""
        if self.third:
            return (1, 32_768)
        return {"pro": (128, 32_768), "flash-lite": (512, 24_576)}.get(self.line, (1, 24_576))

    @property
    def can_rest(self) -> bool:
        """Whether thinking can be turned off with a budget of 0."""
        return self.line != "pro"

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it can answer with beside text."""
        if "tts" in self.name:
            return ("AUDIO",)
        return ("IMAGE",) if "image" in self.name else ()

    @property
    def most_tokens(self) -> int:
        """The `outputTokenLimit`."""
        return 65_536 if self.version >= (2, 5) else 8_192


def traits(model: str) -> Traits:
    """Return what `model` accepts, judged by its name."""
    name = served(model)
    match = _NAME.match(name)
    if match is None:
        return Traits(name, "flash", (2, 5))
    return Traits(name, match["line"], (int(match["major"]), int(match["minor"] or 0)))


def served(model: str) -> str:
    """Return the name that an answer of `model` carries."""
    return _ALIASES.get(model, model)


def known(model: str, version: str, method: str = "generateContent") -> None:
    """Refuse a model that does not exist, or not in this version of the API.

    Raises:
        Rejection: 404, as the service words it.
    """
    if "does-not-exist" in model or (version == "v1" and _BETA_ONLY.search(model)):
        raise refusals.refuse(
            404,
            f"models/{model} is not found for API version {version}, or is not supported for "
            f"{method}. Call ModelService.ListModels to see the list of available models and "
            "their supported methods.",
        )


def described(model: str, version: str) -> JsonObject:
    """Return a model as the list has it."""
    known(model, version)
    found = traits(model)
    title = model.replace("-", " ").title()
    return {
        "name": f"models/{model}",
        "version": ".".join(map(str, found.version)),
        "displayName": title,
        "description": f"{title}, as the sandbox plays it.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": found.most_tokens,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        **({"thinking": True} if found.thinks else {}),
    }


def listed(version: str) -> JsonObject:
    """Return the answer of `GET /{version}/models`."""
    names = [name for name in _LISTED if version != "v1" or not _BETA_ONLY.search(name)]
    return {"models": [described(name, version) for name in names]}
