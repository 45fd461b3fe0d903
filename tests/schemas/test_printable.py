"""Strings of strangers in one line that no terminal acts on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import TglError
from schemas.printable import LONG, SHORT, printable, printable_line

ACTS = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal, or the direction of a text, would act on."""
anything = st.text(alphabet=st.characters(), max_size=400)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("bad\udcff", r"bad\udcff"),
        ("\x9b2J", r"\x9b2J"),
        ("größe 球 пёс बिल्ली 🐈", "größe 球 пёс बिल्ली 🐈"),
        ("می‌خواهم", "می‌خواهم"),
        ("x\u3000y", "x\u3000y"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_text_loses_its_middle() -> None:
    assert printable("ab" * 5000, 9) == "aba...bab"
    assert printable("x" * 20, 20) == "x" * 20
    line = printable_line(f"video {'v' * 5000} lacks its frames")
    assert line.startswith("video vvv")
    assert line.endswith("vvv lacks its frames")
    assert len(line) < SHORT + 30


@given(text=anything)
def test_nothing_acts_and_nothing_is_long(text: str) -> None:
    for shown, limit in ((printable(text), SHORT), (printable_line(text), LONG)):
        assert not ACTS.search(shown)
        assert len(shown) <= limit
    assert printable(printable(text)) == printable(text)


@given(message=anything, where=anything, hint=anything)
def test_every_error_is_one_short_line(message: str, where: str, hint: str) -> None:
    error = TglError(message * 9, where=where * 9, hint=hint * 9)
    assert not ACTS.search(str(error))
    assert len(str(error)) < 3 * LONG
    assert error.where == where * 9
