"""Texts that say the same, and texts that only look so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.trials.match import LONGEST_TEXT, matches

STEPS = "First 6 times 7 = 42.\nThen nothing.\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "paris."),
        ("PARIS", " **Paris** "),
        ("Paris", "\u201cParis\u201d"),
        ("Yes!", "yes"),
        ("New  York\n", "new york"),
        ("Paris", "The answer is Paris."),
        ("Paris", "**Answer:** Paris"),
        ("Paris", "**Final answer: Paris**"),
        ("42", "42.00"),
        ("1234.5", "1,234.50"),
        ("0.500 km", "0.5 km"),
        ("$1234", "$1,234.00"),
        ("12%", "12.0%"),
        ("\uff14\uff12", "42"),
        ("42", f"{STEPS}The answer is **42**."),
        ("42", f"{STEPS}So the answer is: 42"),
        ("42", f"{STEPS}\\[ \\boxed{{42}} \\]"),
        ("-42", f"{STEPS}\\[ \\boxed{{-42}}. \\]"),
        ("42", f"{STEPS}x = **$\\boxed{{42}}$**."),
        ("\\boxed{\\frac{1}{2}}", "Thus $\\boxed{\\frac{1}{2}}$."),
        ("B", "**B) Paris**"),
        ("(B)", "B. Paris"),
        ("B", f"{STEPS}The correct answer is **B**."),
        ("B) paris", "(B) Paris."),
        ("`foo_bar`", "foo_bar"),
        ("", " \n"),
    ],
)
def test_two_ways_to_write_one_answer_are_equal(one: str, other: str) -> None:
    assert matches(one, other)
    assert matches(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Paris", "London", id="another word"),
        pytest.param("Paris", "It is not **Paris**", id="denied"),
        pytest.param("Paris", "The answer is not Paris", id="denied behind a lead"),
        pytest.param("5", "-5", id="sign"),
        pytest.param("5", ".5", id="leading point"),
        pytest.param("5", "5!", id="factorial"),
        pytest.param("5", "5%", id="unit"),
        pytest.param("102", "10\u00b2", id="exponent"),
        pytest.param("5 mW", "5 MW", id="case of a unit"),
        pytest.param("CO", "Co", id="case of a symbol"),
        pytest.param("V", "v", id="case of a letter"),
        pytest.param("getValue", "getvalue", id="case of a name"),
        pytest.param("Python 3.1", "Python 3.10", id="version"),
        pytest.param("1, 234", "1234", id="a list"),
        pytest.param("1.500 km", "1.5 km", id="a point before thousands"),
        pytest.param("if a:\n  b\nc", "if a:\n  b\n  c", id="indent"),
        pytest.param('{"Name": 1}', '{"name": 1}', id="case of a key"),
        pytest.param("__init__", "init", id="underscores"),
        pytest.param("B) Paris", "B) London", id="one letter, two texts"),
        pytest.param("B) Paris", "C) Paris", id="two letters, one text"),
        pytest.param("A", "A) is wrong, B) is right", id="several letters"),
        pytest.param("Take it.\n\n**Good luck!**", "Leave it.\n\n**Good luck!**", id="a bold end"),
        pytest.param("1. Paris\n2. The answer is 42", "42", id="the last of several answers"),
        pytest.param("The answer is 4. Or rather: the answer is 5", "5", id="in two minds"),
        pytest.param("\\boxed{1} and \\boxed{2}", "\\boxed{2}", id="two boxes"),
        pytest.param(
            "\\boxed{1} is what many say, but it is 2 for a reason.", "1", id="box midway"
        ),
        pytest.param("$\\boxed{12}$ meters.", "$\\boxed{12}$ inches.", id="a unit behind the box"),
        pytest.param("\\boxed{12}\\text{ m}", "\\boxed{12}", id="a unit in words of a formula"),
        pytest.param("\\boxed{5} or 7", "5", id="not all is boxed"),
        pytest.param("\\boxed{5}!", "5", id="a factorial of what is boxed"),
        pytest.param("x = -\\boxed{5}", "x = \\boxed{5}", id="a sign before the box"),
        pytest.param("Hence $-\\boxed{5}$.", "5", id="a sign before the box, in a formula"),
        pytest.param("x \\neq \\boxed{5}", "5", id="unequal to what is boxed"),
        pytest.param("It is **not** \\boxed{5}.", "5", id="what is boxed is denied"),
        pytest.param("!!!", "???", id="marks alone"),
        pytest.param("a " * LONGEST_TEXT, "A " * LONGEST_TEXT, id="too long to look into"),
        pytest.param("5", "so " * LONGEST_TEXT + "\\boxed{5}", id="so is one of them"),
        pytest.param("", "a", id="nothing"),
    ],
)
def test_what_may_differ_differs(one: str, other: str) -> None:
    assert not matches(one, other)
    assert not matches(other, one)


written = st.text(max_size=30) | st.text(alphabet="AB12.,!*\"'`$ \\{}\n(x)", max_size=12)


@given(one=written, other=written)
def test_equality_looks_the_same_from_both_sides(one: str, other: str) -> None:
    assert matches(one, one)
    assert matches(one, other) == matches(other, one)
