"""Made-up secrets in the shapes of real ones, in pieces: no scanner of code takes them for such."""

from typing import Final

__all__ = ["KNOWN", "PLACES", "SHAPED"]

_MORE: Final = "Zq7" + "x1Yw9" * 6

SHAPED: Final = {
    "openai": "sk-" + "proj-" + _MORE,
    "openai_old": "sk-" + _MORE,
    "anthropic": "sk-" + "ant-api03-" + _MORE + "-" + _MORE,
    "google": "AIza" + "Sy" + _MORE,
    "google_token": "ya29." + _MORE,
    "github": "ghp_" + _MORE,
    "github_server": "ghs_" + _MORE,
    "github_fine": "github_pat_" + "11AA" + "_" + _MORE,
    "gitlab": "glpat-" + _MORE,
    "slack": "xoxb-" + "123456789012-" + _MORE,
    "aws": "AKIA" + "Z7X1Y9WQ" * 2,
    "aws_session": "ASIA" + "Z7X1Y9WQ" * 2,
    "stripe": "sk_" + "live_" + _MORE,
    "groq": "gsk_" + _MORE,
    "hugging_face": "hf_" + _MORE,
    "xai": "xai-" + _MORE,
    "npm": "npm_" + _MORE,
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0." + _MORE,
    "jwt_unsigned": "eyJ" + "hbGciOiJub25lIn0" + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\n" + _MORE + "\n" + _MORE + "\n"
    "-----END RSA PRIVATE KEY-----",
}  # fmt: skip
"""By what they look like."""

KNOWN: Final = ("correct horse", 'quo"ted\\secret', "käse/99+1=x", "0123456789abcdef")
"""Without a shape: known to the server."""

PLACES: Final = (
    "{}",
    "my key is {}, keep it",
    '"{}"',
    "'{}'",
    "({})",
    "key={}",
    "https://api.example/v1?key={}&x=1",
    "line\n{}\nline",
    "\u4e2d\u6587{}\u3002",
    "`{}`",
    "a:{};b",
)
"""Texts that hold a secret."""
