r"""What captured content must not hold: keys, tokens, passwords, and what an operator adds.

1. Secrets that the server knows, wherever they stand: as they are, in a URL, in JSON.
2. What has the shape of a key or a token, where it begins a word.
3. Patterns of the policy (`tracing.redact`); what is longer than `REACH` may be cut in two.
4. `data:` URLs, whose bytes are nobody's business and of any size: their type and length stay.

All of it is tried on texts before they are cut (`head`), so that no cut can leave half a key that
nothing recognises. Escapes of JSON are read as what they stand for, however often the text went
through JSON: the arguments of a call, quoted in a message, hold `\\u0073k-` for `sk-`.

Everything here takes time that grows with the text and no faster. What it cannot know: a secret
that somebody spelled otherwise (base64, two parts of a message), and a password in plain prose.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, cast
from urllib.parse import quote

from policy.patterns import compiled
from translators.json import encode

__all__ = ["REACH", "REDACTED", "Head", "Redactor"]

REDACTED: Final = "[REDACTED]"

REACH: Final = 8 * 1024
"""Characters behind a cut that are looked at, too: the longest secret that a cut cannot halve."""

SHORTEST: Final = 4
"""Characters of a known secret: shorter ones would be found in every other word."""

DEEPEST: Final = 16
"""Levels of JSON that are kept as such; what is deeper is kept as text. Collectors refuse more."""

LONGEST_NAME: Final = 64
"""Characters at the end of a key that say what stands under it."""


class Head(str):
    """The beginning of a text, redacted.

    Attributes:
        full: Characters of the whole text.
    """

    __slots__ = ("full",)

    full: int

    def __new__(cls, text: str, full: int) -> "Head":
        """Return the beginning `text` of a text of `full` characters."""
        made = super().__new__(cls, text)
        made.full = full
        return made

    def __bool__(self) -> bool:
        return self.full > 0


# A word begins here: also behind an escape of JSON or of a URL that ends in a letter or a digit.
_EDGE: Final = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"

# Each with literals of which every match holds one: a text without them is not searched. What can
# fail behind a long run is bounded, or begins where no such run goes on: that keeps time linear.
_SHAPES: Final[Sequence[tuple[tuple[str, ...], str]]] = (
    # OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek; `sk-learn` is none.
    (("sk-",), r"sk-(?:[A-Za-z0-9_-]{20,}|(?=[A-Za-z_-]{0,19}\d)[A-Za-z0-9_-]{12,})"),
    (("AIza",), r"AIza[A-Za-z0-9_-]{16,}"),
    (("ya29.",), r"ya29\.[A-Za-z0-9_-]{16,}"),
    (("GOCSPX-",), r"GOCSPX-[A-Za-z0-9_-]{16,}"),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{16,}"),
    (("github_pat_",), r"github_pat_[A-Za-z0-9_]{16,}"),
    (("glpat-",), r"glpat-[A-Za-z0-9_-]{16,}"),
    (("xox", "xapp-"), r"(?:xox[a-z]|xapp)-[A-Za-z0-9-]{8,}"),
    (("AKIA", "ASIA"), r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    (("k_live_", "k_test_"), r"[sr]k_(?:live|test)_[A-Za-z0-9]{12,}"),
    (
        ("xai-", "pplx-", "gsk_", "hf_", "npm_", "whsec_"),
        r"(?:xai-|pplx-|gsk_|hf_|npm_|whsec_)[A-Za-z0-9]{12,}",
    ),
)

_BEARER: Final = re.compile(
    r"\b(bearer(?:\s|\\[nrt]|%20|\+){1,8})"
    r"(?=[A-Za-z._~+/=-]{0,64}\d|[A-Za-z0-9._~+/=-]{20})[A-Za-z0-9._~+/=-]{8,}",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(
    r"((?:authorization|api[_-]?key|cookie|password|passwd|client[_-]?secret"
    r"|secret[_-]?(?:access[_-]?)?key|(?:access|auth|refresh|session|security)[_-]?token)"
    r"(?:\\*[\"'])?\s{0,8}[:=]\s{0,8}(?:\\*[\"'])?(?:(?:basic|bearer|token)\s{1,8})?)"
    # Words of prose stand behind a colon, too; what has a scheme before it is none.
    r"(?:(?<=(?:basic|token)\s)|(?=[^\s\"'\\,;]{0,64}\d))[^\s\"'\\,;]{8,}",
    re.IGNORECASE,
)
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----.*?"
    # Where it was cut off before its end, all that is there goes.
    r"(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_PASSWORD: Final = re.compile(r"(://[^\s/?#:@\"'<>]{0,256}:)[^\s/?#\"'<>]{1,1024}(?=@)")
_QUERY: Final = re.compile(
    r"([?&;](?:(?:api|access|auth|private)[_-]?)?(?:key|token|secret|password|passwd|sig|signature"
    r"|credential|x-amz-(?:signature|credential|security-token)"
    r"|x-goog-(?:signature|credential))=)[^\s&#\"'<>\\]+",
    re.IGNORECASE,
)
_DATA_URL: Final = re.compile(
    r"data:([\w.+-]{1,100}/[\w.+-]{1,100})?((?:;[\w.+-]{1,100}(?:=[\w.+-]{1,100})?){0,8}),"
    r"([A-Za-z0-9+/=_%-]*)",
    re.IGNORECASE,
)
_SECRET_NAME: Final = re.compile(
    r"[A-Za-z0-9_-]*(?:authorization|cookie|password|passwd|passphrase|secret"
    r"|(?:api|access|private|secret)[_-]?key|(?:access|auth|refresh|session|security|id)[_-]?token)",
    re.IGNORECASE,
)
_DOTTED: Final = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*)+")
_JWT: Final = re.compile(_EDGE + "eyJ")
_ESCAPE: Final = re.compile(r"(?<!\\)\\++(?:u([0-9A-Fa-f]{4})|/)")


def _medium(found: re.Match[str]) -> str:
    kind, _, data = found.groups()
    # What is short is an example in a text about such addresses.
    short = len(data) < 16
    return found.group() if short else f"[data: {kind or 'text/plain'}, {len(data)} characters]"


def _web_tokens(found: re.Match[str]) -> str:
    """Replace JSON Web Tokens (base64url of `{"`, then a dot and more) in what dots hold together.

    A regular expression would look for the dot from each `eyJ` of a long run without one.
    """
    start, kept = found.start(), found.group()
    parts = kept.split(".")
    place = 0
    for index, part in enumerate(parts[:-1]):
        begins = _JWT.search(found.string, start + place, start + place + len(part))
        if begins is not None:
            head = len(part) - (begins.start() - start - place)
            if head >= 12 and len(parts[index + 1]) >= 8:
                rest = parts[index + 5 :]
                before = kept[: begins.start() - start]
                return before + REDACTED + "".join(f".{more}" for more in rest)
        place += len(part) + 1
    return kept


_Rule = tuple[tuple[str, ...], Callable[[str], str]]
"""Literals of which a text holds one if the rule matters to it, and what the rule makes of it."""

_RULES: Final[Sequence[_Rule]] = (
    (("ata:", "ATA:"), partial(_DATA_URL.sub, _medium)),
    (("PRIVATE KEY",), partial(_PRIVATE_KEY.sub, REDACTED)),
    (("eyJ",), partial(_DOTTED.sub, _web_tokens)),
    *(
        (literals, partial(re.compile(_EDGE + shape).sub, REDACTED))
        for literals, shape in _SHAPES
    ),
    (("earer", "EARER"), partial(_BEARER.sub, rf"\1{REDACTED}")),
    ((":", "="), partial(_NAMED.sub, rf"\1{REDACTED}")),
    (("://",), partial(_PASSWORD.sub, rf"\1{REDACTED}")),
    (("=",), partial(_QUERY.sub, rf"\1{REDACTED}")),
)  # fmt: skip


class Redactor:
    """Takes secrets out of texts and of JSON.

    Args:
        secrets: That the server knows.
        patterns: Of the policy, as `policy.patterns` has checked them.
    """

    __slots__ = ("_own", "_secrets")

    def __init__(self, secrets: Iterable[str] = (), patterns: Sequence[str] = ()) -> None:
        self._secrets = _spelled(secrets)
        self._own = [compiled(pattern) for pattern in patterns]

    def and_also(self, secrets: Iterable[str]) -> "Redactor":
        """Return one that knows further secrets, such as the key of the one who asks."""
        if not (more := [s for s in _spelled(secrets) if s not in self._secrets]):
            return self
        other = Redactor()
        other._own = self._own
        other._secrets = [*self._secrets, *more]
        return other

    def text(self, text: str) -> str:
        """Return a text without secrets; the text itself where there are none."""
        plain = _ESCAPE.sub(_unescaped, text) if "\\" in text else text
        redacted = self._redacted(plain)
        if redacted != plain:
            return redacted
        return text if plain == text else self._redacted(text)

    def head(self, text: str, most: int) -> str:
        """Return the beginning of a text without secrets; a `Head` where there is more of it.

        Args:
            text: Perhaps itself a `Head` of something longer, not yet redacted.
            most: Characters of it that are looked at; some more are, to see where secrets end.
        """
        full = text.full if isinstance(text, Head) else len(text)
        window = text[: most + REACH]
        redacted = self.text(window)
        if len(window) == full:
            return redacted
        # What stands at the end may be half of a secret, and so unrecognised.
        return Head(redacted[:-REACH], full)

    def tree(self, value: Any, depth: int = 0) -> Any:
        """Return JSON whose texts and keys are without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if depth >= DEEPEST and isinstance(value, dict | list):
            return self.text(encode(value).decode())
        if isinstance(value, dict):
            items = cast("dict[str, Any]", value).items()
            return {self.text(name): self._entry(name, entry, depth + 1) for name, entry in items}
        if isinstance(value, list):
            return [self.tree(entry, depth + 1) for entry in cast("list[Any]", value)]
        return value

    def _entry(self, name: str, value: Any, depth: int) -> Any:
        if isinstance(value, str) and value and _SECRET_NAME.fullmatch(name[-LONGEST_NAME:]):
            return REDACTED
        return self.tree(value, depth)

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        for literals, apply in _RULES:
            if any(literal in text for literal in literals):
                text = apply(text)
        for pattern in self._own:
            text = pattern.sub(_replaced, text)
        return text


def _spelled(secrets: Iterable[str]) -> list[str]:
    """Return secrets in each way that they are written, the longest first.

    A longer one may hold a shorter one, of which nothing must be left.
    """
    ways: set[str] = set()
    for secret in secrets:
        if len(secret) < SHORTEST:
            continue
        try:
            ways |= {secret, encode(secret).decode()[1:-1], quote(secret, safe="")}
        except UnicodeEncodeError:
            # Bytes of the environment that are no text: they stand in no JSON.
            continue
    return sorted(ways, key=len, reverse=True)


def _unescaped(found: re.Match[str]) -> str:
    if found[1] is None:
        return "/"
    character = chr(int(found[1], 16))
    # Quotes, backslashes and what is no character have to stay escaped: the text may be JSON.
    escaped = character in '"\\' or not (character.isprintable() or character.isspace())
    return found.group() if escaped or character < " " else character


def _replaced(found: Any) -> str:
    return REDACTED if found.group() else ""
