"""JSON as it goes out: compact, unescaped, of any integer, and never what is no JSON."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.json import encode

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_encoded_is_read_back(value: Any):
    assert json.loads(encode(value)) == value


def test_it_is_compact_unescaped_and_in_the_order_given():
    assert encode({"b": [1, 2.5, None, True], "a": "é\u2028/😀"}) == (
        '{"b":[1,2.5,null,true],"a":"é\u2028/😀"}'.encode()
    )


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**300])
def test_integers_of_any_size_are_written_exactly(number: int):
    assert encode({"n": number, "t": "é"}) == f'{{"n":{number},"t":"é"}}'.encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("beside", [0, 2**70], ids=["fast", "slow"])
def test_numbers_that_json_does_not_have_become_null_on_both_ways(number: float, beside: int):
    assert json.loads(encode({"n": number, "m": beside})) == {"n": None, "m": beside}


def test_structs_leave_out_what_is_not_set():
    class Point(msgspec.Struct, omit_defaults=True):
        x: int
        y: int | None = None

    assert encode([Point(1), Point(2, 3)]) == b'[{"x":1},{"x":2,"y":3}]'
