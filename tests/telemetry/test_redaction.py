"""What is taken out of captured content, wherever it stands."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.telemetry.content.redaction import DEEPEST, REACH, REDACTED, Head, Redactor
from tests.telemetry.secrets_of_tests import KNOWN, PLACES, SHAPED

PLAIN = Redactor()
KNOWING = Redactor(KNOWN)


def core(secret: str) -> str:
    """Return a piece from the middle of a secret, of which nothing may be left."""
    return "x1Yw9x1Yw9" if "x1Yw9x1Yw9" in secret else secret[4:16]


def escaped(text: str, times: int) -> str:
    """Return a text as it stands in JSON, that is text in JSON, and so on."""
    for _ in range(times):
        text = json.dumps(text)
    return text


def odd(text: str) -> str:
    r"""Return JSON text in which every letter is written as `\uXXXX`."""
    return '"' + "".join(f"\\u{ord(c):04x}" for c in text) + '"'


class TestShapes:
    @pytest.mark.parametrize("secret", SHAPED.values(), ids=SHAPED.keys())
    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("times", [0, 1, 2, 3])
    def test_a_secret_does_not_survive(self, secret: str, place: str, times: int) -> None:
        told = PLAIN.text(escaped(place.format(secret), times))
        assert core(secret) not in told
        assert REDACTED in told

    @pytest.mark.parametrize("name", [name for name in SHAPED if name != "pem"])
    def test_nor_does_one_written_in_escapes(self, name: str) -> None:
        for text in (odd(SHAPED[name]), odd(SHAPED[name]).upper().replace("\\U", "\\u")):
            assert PLAIN.text(text) == f'"{REDACTED}"'

    @pytest.mark.parametrize("secret", SHAPED.values(), ids=SHAPED.keys())
    def test_what_surrounds_it_stays(self, secret: str) -> None:
        assert PLAIN.text(f"Hello {secret}, bye") in (
            f"Hello {REDACTED}, bye",
            # Hardly to be told from the token's own parts.
            f"Hello {REDACTED} bye",
        )

    @pytest.mark.parametrize("secret", SHAPED.values(), ids=SHAPED.keys())
    def test_json_stays_json(self, secret: str) -> None:
        for text in (json.dumps({"a": [f"x\n{secret}", 1]}), json.dumps(json.dumps([secret, "z"]))):
            told = json.loads(PLAIN.text(text))
            assert REDACTED in json.dumps(told)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("Authorization: Bearer 4f2a9c1d77", f"Authorization: Bearer {REDACTED}"),
            ("authorization: bearer abcdefghijklmnopqrstu", f"authorization: bearer {REDACTED}"),
            ('{"authorization": "Basic dXNlcjpwYXNzd29yZA=="}', REDACTED),
            ("x-api-key: 99aabbccdd", f"x-api-key: {REDACTED}"),
            ("DB_PASSWORD='hunter2hunter2'", f"DB_PASSWORD='{REDACTED}'"),
            ('"client_secret": "a1b2c3d4e5"', f'"client_secret": "{REDACTED}"'),
            ("postgres://ann:pa55@db:5432/x", f"postgres://ann:{REDACTED}@db:5432/x"),
            ("https://ann:p@ss@host/x", f"https://ann:{REDACTED}@host/x"),
            ("redis://:pw@host", f"redis://:{REDACTED}@host"),
            ("http://h/p?a=1&api_key=zzz&b=2", f"http://h/p?a=1&api_key={REDACTED}&b=2"),
            ("https://s3/x?X-Amz-Signature=0a1b", f"https://s3/x?X-Amz-Signature={REDACTED}"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE no end", REDACTED),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nx", REDACTED),
        ],
    )
    def test_passwords_and_headers(self, text: str, told: str) -> None:
        assert told in PLAIN.text(text)
        assert not re.search(
            "4f2a|dXNl|99aa|hunter|a1b2|pa55|p@ss|ss@|:pw|zzz|0a1b|MIIE", PLAIN.text(text)
        )

    @pytest.mark.parametrize(
        "text",
        [
            "import sklearn; scikit-learn and sk-learn are the same",
            "risk-management-and-compliance-in-the-public-sector",
            "The bearer of this letter is a friend. The bearer shares are gone.",
            "password: required, authorization: none",
            "See https://example.com/a?page=2&sort=asc and mailto:ann@example.com",
            "eyJ is how it begins; a.b.c. www.example.com/eyJ",
            "AKIA is a prefix. data: urls, data:, and data:x",
            "C:\\new\\table\\/ \\u0041 \\\\",
            "",
        ],
    )
    def test_plain_text_is_left_as_it_is(self, text: str) -> None:
        assert PLAIN.text(text) is text or PLAIN.text(text) == text

    def test_data_urls_are_told_by_type_and_length(self) -> None:
        for url in ("data:image/png;base64,", "DATA:image/png;charset=x;base64,"):
            told = PLAIN.text(f"![a]({url}{'iVBORw0K' * 100}) and more")
            assert told == "![a]([data: image/png, 800 characters]) and more"
        assert PLAIN.text("data:," + "b" * 20) == "[data: text/plain, 20 characters]"

    @pytest.mark.parametrize(
        "text",
        [
            *("eyJ-" * 20_000, "eyJ." * 20_000, "\\" * 80_000, "-sk-" * 20_000, "sk-" * 20_000),
            *("bearer " * 11_000, "://a:" * 16_000, "://" + "a:" * 40_000, "data:" * 16_000),
            *("data:a/" + "b" * 80_000, "data:;a" * 11_000, "data:" + ";a=b" * 20_000),
            *("password:" * 9_000, "password" + "\\" * 80_000, "?key=" * 16_000, "a" * 80_000),
            *("-----BEGIN PRIVATE KEY-----" * 3_000, "-----BEGIN AA " * 6_000, "a.b" * 26_000),
            *("\\u00" * 20_000, "a_-" * 26_000 + "eyJ", ("a" * 50 + ".") * 1600),
        ],
        ids=lambda text: text[:12],
    )  # fmt: skip
    def test_a_hostile_text_takes_no_longer_than_another(self, text: str) -> None:
        # An engine that tries all ways would be at it for minutes: the tests' time limit.
        PLAIN.text(text)
        PLAIN.head(text, 1000)


class TestKnownSecrets:
    @pytest.mark.parametrize("secret", KNOWN)
    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("times", [0, 1])
    def test_a_known_one_does_not_survive(self, secret: str, place: str, times: int) -> None:
        told = KNOWING.text(escaped(place.format(secret), times))
        assert secret not in told
        assert escaped(secret, times).strip('"') not in told
        assert REDACTED in told

    @pytest.mark.parametrize("secret", KNOWN)
    def test_nor_in_an_address(self, secret: str) -> None:
        assert quote(secret, safe="") not in KNOWING.text(f"https://h/{quote(secret, safe='')}/x")

    def test_it_need_not_stand_alone(self) -> None:
        assert KNOWING.text("xx0123456789abcdefyy") == f"xx{REDACTED}yy"

    def test_of_a_longer_one_nothing_is_left(self) -> None:
        redactor = Redactor(["abcd-1234", "abcd-1234-efgh-5678"])
        assert redactor.text("abcd-1234-efgh-5678 abcd-1234") == f"{REDACTED} {REDACTED}"

    def test_what_is_too_short_to_be_one_is_none(self) -> None:
        assert Redactor(["abc", ""]).text("abc of it") == "abc of it"

    def test_bytes_of_the_environment_that_are_no_text_harm_nothing(self) -> None:
        assert Redactor(["\udcff\udcfe1234"]).text("1234") == "1234"

    def test_another_one_may_join(self) -> None:
        more = KNOWING.and_also(["presented-1"])
        assert more.text("presented-1 correct horse") == f"{REDACTED} {REDACTED}"
        assert KNOWING.text("presented-1") == "presented-1"
        assert KNOWING.and_also(["correct horse", "x"]) is KNOWING
        assert "horse" not in repr(more)


class TestOwnPatterns:
    def test_they_count_beside_the_others(self) -> None:
        redactor = Redactor((), [r"(?i)kunde-\d+", r"Ärzte\b"])
        text = f"Kunde-4711 und KUNDE-12, Ärzte, {SHAPED['github']}"
        assert redactor.text(text) == f"{REDACTED} und {REDACTED}, {REDACTED}, {REDACTED}"
        assert redactor.and_also(["another"]).text("kunde-1") == REDACTED

    def test_what_matches_nothing_between_two_letters_changes_nothing(self) -> None:
        assert Redactor((), [r"\b"]).text("some words") == "some words"


class TestTrees:
    def test_texts_and_keys_at_any_place(self) -> None:
        secret = SHAPED["openai"]
        tree = {"a": [secret, {"b": f"x {secret}", secret: 1}], "n": 1.5, "z": None, "t": True}
        told = PLAIN.tree(tree)
        assert told == {
            "a": [REDACTED, {"b": f"x {REDACTED}", REDACTED: 1}],
            "n": 1.5,
            "z": None,
            "t": True,
        }

    @pytest.mark.parametrize(
        "name",
        [
            *("password", "Password", "api_key", "apiKey", "x-api-key", "DB_PASSWORD", "secret"),
            *("clientSecret", "access_token", "authorization", "aws_secret_access_key", "cookie"),
        ],
    )
    def test_what_is_called_a_secret_is_one(self, name: str) -> None:
        assert PLAIN.tree({name: "plain words"}) == {name: REDACTED}

    def test_what_only_speaks_of_one_is_not(self) -> None:
        schema = {"properties": {"password": {"type": "string"}}, "max_tokens": 5, "token": "a"}
        assert PLAIN.tree(schema) == schema

    def test_what_is_deep_is_kept_as_text_and_redacted(self) -> None:
        tree: Any = SHAPED["anthropic"]
        for _ in range(DEEPEST + 50):
            tree = [tree]
        told = json.dumps(PLAIN.tree(tree))
        assert core(SHAPED["anthropic"]) not in told
        assert told.count("[") < DEEPEST + 60
        assert "[[[" in json.loads(told[DEEPEST:-DEEPEST])


class TestCuts:
    def test_a_short_text_is_not_cut(self) -> None:
        assert PLAIN.head("short", 5) == "short"
        assert not isinstance(PLAIN.head("short", 5), Head)

    def test_a_text_just_longer_than_the_limit_is_whole(self) -> None:
        assert PLAIN.head("x" * (100 + REACH), 100) == "x" * (100 + REACH)

    def test_a_long_text_says_how_long_it_was(self) -> None:
        told = PLAIN.head("x" * 100_000, 1000)
        assert isinstance(told, Head)
        assert (told.full, len(told)) == (100_000, 1000)
        again = PLAIN.head(Head("y" * 20_000, 70_000), 1000)
        assert isinstance(again, Head)
        assert (again.full, len(again)) == (70_000, 1000)
        nothing = PLAIN.head(Head("", 9), 1000)
        assert isinstance(nothing, Head)
        assert nothing
        assert not Head("", 0)

    @given(st.sampled_from(sorted(SHAPED)), st.integers(0, 400), st.integers(0, 12))
    @example("pem", 60, 0)
    @example("jwt", 40, 12)
    def test_no_cut_leaves_a_part_of_a_secret(self, name: str, back: int, before: int) -> None:
        secret, most = SHAPED[name], 3000
        # The limit, or what is looked at behind it, falls anywhere on a secret.
        for border in (most, most + REACH):
            start = border - min(back, len(secret) + 20)
            text = (secret + " ") * before
            text += "." * (start - len(text)) + secret + "." * (4 * REACH)
            told = PLAIN.head(text, most)
            assert isinstance(told, Head)
            for size in (10, 14):
                assert secret[size:][:8] not in told, told[-200:]

    def test_many_secrets_before_the_cut_do_not_draw_the_next_one_in(self) -> None:
        # What is replaced makes the text shorter: its end would come before the limit.
        redactor = Redactor(["L" * 80, "0123456789abcdef"])
        text = ("L" * 80 + " ") * 130
        text += "." * (3000 + REACH - len(text) - 8) + "0123456789abcdef" + "." * 50_000
        assert "0123" not in redactor.head(text, 3000)
