"""The fast reader of JSON says what the standard library says, or leaves it to that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lineage.domain.ids import event_identity
from lineage.domain.spec import Fault, refuse_constant
from lineage.domain.wire import _array, identity, json_array, parse

KEY = b"a key"
ODD = [
    '{"a":1,"a":2}', "[1e400]", "[-1e400]", "[123456789012345678901234567890]", '["\\ud800"]', '["\\udc00\\ud800"]', '["\x01"]',
    '["a\nb"]', "[1.0]", "[1e16]", "[123456789012345680.0]", "[NaN]", "[-Infinity]", "[0.00001]", "[0.0001]", "[01]", "[1.]",
    "[.5]", "[-]", "[-0]", "[-0.0]", '["\\ud83d\\ude00"]', '["\x7f"]', '"\\u0000"', '["\\u0000\\b\\t\\n\\f\\r\\u001f/\\/"]',
    "[1] ", "\u00a0[1]", "\x0c[1]", "[5e-324]", "[18446744073709551616]", "[-9223372036854775809]", "[1E5]", "[1.5E+3]",
    '{"a":1,}', '["é"]', '{"é":1,"z":2,"\\ud83d\\ude00":3,"\\uffff":4}', "[2.5e-7]", "[1,]", "[1 2]", "[1] 2", "", "nul",
    "true", "\ufeff[1]", '{"b":{"d":1,"c":[{"f":1,"e":2}]},"a":null}', "[1e5]", '{"a" : [ ] , "b" : { } }', '["\ud800"]',
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def plainly(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except ValueError:
        return Fault


@pytest.mark.parametrize("text", ODD)
def test_it_accepts_and_reads_what_the_standard_library_does(text: str) -> None:
    if plainly(text) is Fault:
        with pytest.raises(Fault) as caught:
            parse(text)
        assert caught.value.status == 400
        return
    parsed = parse(text)
    assert repr(parsed.event) == repr(plainly(text))  # repr: -0.0 is not 0.0, and 1 is not 1.0
    assert parsed.text == text
    assert identity(parsed, key=KEY) == event_identity(plainly(text), key=KEY)


@given(VALUES, st.booleans())
@example({"x": 1e22, "y": [0.1, 1e-7]}, True)
def test_identities_do_not_depend_on_the_reader(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    parsed = parse(text)
    assert repr(parsed.event) == repr(json.loads(text))
    assert identity(parsed, key=KEY) == event_identity(json.loads(text), key=KEY)


@pytest.mark.parametrize("text", ODD)
def test_the_elements_of_an_array_are_those_of_the_slow_reader(text: str) -> None:
    def read(reader: Any, sent: str) -> Any:
        try:
            return [(one.text, repr(one.event), identity(one, key=KEY)) for one in reader(sent)]
        except Fault as fault:
            return fault.reason

    for sent in (text, f"[{text}]", f" [ {text} ,\n{{}}\t] ", f"[{text},[NaN]]"):
        assert read(json_array, sent) == read(_array, sent)


def test_ordinary_events_take_the_fast_way() -> None:
    assert parse('{"a": 1.5, "b": "\\u00e9"}').canonical is None
    assert parse('{"b": 1.5, "a": "x"}').canonical == b'{"a":"x","b":1.5}'


def test_nesting_without_end_is_a_fault() -> None:
    for text in ("[" * 200_000, "[" * 100_000 + "]" * 100_000):
        with pytest.raises(Fault):
            parse(text)
        with pytest.raises(Fault):
            json_array(text)
