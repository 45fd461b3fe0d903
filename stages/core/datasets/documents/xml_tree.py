"""Reading XML of others as a tree, without document types: no entity expands or reads a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder, tostring
from xml.parsers import expat

from schemas.directories import write_bytes_atomic
from schemas.errors import CorruptInput
from schemas.files import read_regular

_DEEPEST = 100


class _Depth:
    """Counts open elements, to refuse documents that are nested too deep."""

    def __init__(self, builder: TreeBuilder, path: Path):
        self._builder = builder
        self._path = path
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise CorruptInput("is nested too deep", where=self._path)
        self._builder.start(name, attributes)

    def end(self, name: str) -> None:
        self._depth -= 1
        self._builder.end(name)


def read_xml(path: Path, root: str, *, missing: str = "no such file") -> Element:
    """Read the root element of an XML file.

    Args:
        root: the name that it must have.
        missing: the message if there is no such file.

    Raises:
        MissingInput: no such file.
        CorruptInput: not well-formed, with a document type, too deep, or with another root.
    """

    def refuse(*_: Any) -> None:
        raise CorruptInput(
            "has a document type declaration, which annotations do not need", where=path
        )

    builder = TreeBuilder()
    parser = expat.ParserCreate()
    depth = _Depth(builder, path)
    parser.StartElementHandler = depth.start
    parser.EndElementHandler = depth.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(read_regular(path, missing=missing), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise CorruptInput(f"is not readable XML ({error})", where=path) from error
    tree = builder.close()
    if tree.tag != root:
        raise CorruptInput(f"is XML of {tree.tag!r}, expected {root!r}", where=path)
    return tree


def write_xml(path: Path, root: Element) -> None:
    """Write a tree as UTF-8 with a declaration."""
    write_bytes_atomic(path, tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def attribute(element: Element, name: str, where: object) -> str:
    """Return a required attribute.

    Raises:
        CorruptInput: it is missing.
    """
    value = element.get(name)
    if value is None:
        raise CorruptInput(f"an element {element.tag} lacks {name}", where=where)
    return value
