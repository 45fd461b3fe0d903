"""Names that come from data cannot lead out of the output folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import UnsafeName
from schemas.layouts import frame_path, mask_path, safe_name

BAD = ["", ".", "..", "../../x", "a/b", "a\\b", "/etc", "a\0b", " a", "a ", "CON", "nul.txt", ".x"]


@pytest.mark.parametrize("name", [*BAD, "a\nb", "c:x", "x" * 300, "lpt1"])
def test_refused(name: str) -> None:
    with pytest.raises(UnsafeName) as caught:
        safe_name(name, where="meta.json")
    assert "meta.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["00000", "bike-packing", "a.b", "ü", "video (1)", "0"])
def test_accepted(name: str) -> None:
    assert safe_name(name, where="x") == name


@given(st.text(max_size=30))
def test_what_passes_stays_inside(name: str) -> None:
    try:
        safe_name(name, where="x")
    except UnsafeName:
        return
    root = Path("/out")
    for path in (mask_path(root, name, name, name), frame_path(root, name, name)):
        assert root in path.parents
        assert ".." not in path.parts
