"""Reading pickles of plain data without Python's unpickler, which runs what a pickle asks for.

A pickle is a program for a machine with a stack. This one has the instructions that build dicts,
lists, texts and numbers, True, False and None (protocols 0 to 5), and none that looks up a name or
calls something: a pickle that needs one is refused. Nor does a number in the file reserve memory,
as the index of a memo does in Python's own.
Source: the comments on the instructions in Python's module `pickletools`.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.errors import CorruptInput
from schemas.files import read_regular

_STOP = ord(".")
_TRUTHS = {b"00": False, b"01": True}
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.|$)")
_ESCAPED = {b"\\": b"\\", b"'": b"'", b'"': b'"', b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_IN_LINES, _ON_STACK = b"ci", 0x93
_LOOK_UPS = (*_IN_LINES, _ON_STACK, 0x82, 0x83, 0x84)
"""GLOBAL and INST, STACK_GLOBAL, and EXT1 to EXT4: they look up a name."""
_LONGEST_NAME = 80


def read_plain_pickle(path: Path, *, missing: str = "no such file", hint: str | None = None) -> Any:
    """Read a pickle of dicts with text or numbers as keys, lists, texts, numbers, bools and None.

    Byte strings of Python 2 become text: UTF-8 if they are, else latin-1.

    Args:
        missing: the message if there is no such file.
        hint: what to do then.

    Raises:
        MissingInput: no such file.
        CorruptInput: cut off or not a pickle, or one that holds or calls anything else.
    """
    return parse_plain_pickle(read_regular(path, missing=missing, hint=hint), path)


def parse_plain_pickle(data: bytes, where: object) -> Any:
    """Read the bytes of a pickle as :func:`read_plain_pickle`.

    Args:
        where: the file, for messages.

    Raises:
        CorruptInput: as there.
    """
    return _Machine(data, where).run()


class _Machine:
    """The stack, the marks in it, and the memo; `_at` is the next byte of `_data`."""

    def __init__(self, data: bytes, where: object):
        self._data = data
        self._where = where
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        data, steps, start = self._data, _STEPS, 0
        try:
            while (code := data[self._at]) != _STOP:
                start = self._at
                self._at = start + 1
                step = steps.get(code)
                if step is None:
                    raise self._refusal(code)
                step(self)
            (value,) = self._stack
        # Raised by the steps: the file or the stack is too short, no such memo, or a wrong type.
        except (IndexError, KeyError, ValueError, TypeError) as error:
            if isinstance(error, IndexError) and self._at >= len(data):
                what = "is cut off"
            else:
                what = f"is not a sound pickle at byte {start}"
            raise CorruptInput(what, where=self._where, hint="copy or download it again") from error
        return value

    def _refusal(self, code: int) -> Exception:
        name = next((op.name for op in pickletools.opcodes if op.code == chr(code)), None)
        if name is None:
            return ValueError(code)
        if code in _LOOK_UPS:
            what = f"asks Python to load {self._name(code)}, which plain data never needs"
        else:
            what = f"holds more than dicts, lists, texts and numbers ({name})"
        return CorruptInput(
            f"{what}; nothing in it was run",
            where=self._where,
            hint="do not use this file, download it from its authors",
        )

    def _name(self, code: int) -> str:
        """The name that a pickle wants to look up."""
        if code in _IN_LINES:
            parts = self._data[self._at :].split(b"\n", 2)[:2]
            found = ".".join(part.decode("latin-1") for part in parts)
        elif code == _ON_STACK:
            found = ".".join(part for part in self._stack[-2:] if isinstance(part, str))
        else:
            found = "a registered extension"
        return found[:_LONGEST_NAME]

    # What is read from the file.

    def _take(self, size: int) -> bytes:
        if size < 0:
            raise ValueError(size)
        end = self._at + size
        found = self._data[self._at : end]
        self._at = end
        if len(found) != size:
            raise IndexError
        return found

    def _line(self) -> bytes:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            self._at = len(self._data)
            raise IndexError
        found = self._data[self._at : end]
        self._at = end + 1
        return found

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _signed(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little", signed=True)

    # Numbers and constants.

    def none(self) -> None:
        self._stack.append(None)

    def true(self) -> None:
        self._stack.append(True)

    def false(self) -> None:
        self._stack.append(False)

    def int_line(self) -> None:
        line = self._line()
        self._stack.append(_TRUTHS[line] if line in _TRUTHS else int(line))

    def long_line(self) -> None:
        self._stack.append(int(self._line().removesuffix(b"L")))

    def float_line(self) -> None:
        self._stack.append(float(self._line()))

    def int1(self) -> None:
        self._stack.append(self._data[self._at])
        self._at += 1

    def int2(self) -> None:
        self._stack.append(self._number(2))

    def int4(self) -> None:
        self._stack.append(self._signed(4))

    def long1(self) -> None:
        self._stack.append(self._signed(self._number(1)))

    def long4(self) -> None:
        self._stack.append(self._signed(self._signed(4)))

    def float8(self) -> None:
        self._stack.append(struct.unpack(">d", self._take(8))[0])

    # Texts: the first three are byte strings of Python 2.

    def quoted(self) -> None:
        line = self._line().strip()
        if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
            raise ValueError(line)
        line = line[1:-1]
        self._stack.append(_text(_ESCAPE.sub(_unescaped, line) if b"\\" in line else line))

    def bytes1(self) -> None:
        self._stack.append(_text(self._take(self._number(1))))

    def bytes4(self) -> None:
        self._stack.append(_text(self._take(self._signed(4))))

    def text_line(self) -> None:
        self._stack.append(self._line().decode("raw-unicode-escape"))

    def text1(self) -> None:
        self._stack.append(self._take(self._number(1)).decode("utf-8", "surrogatepass"))

    def text4(self) -> None:
        self._stack.append(self._take(self._number(4)).decode("utf-8", "surrogatepass"))

    def text8(self) -> None:
        self._stack.append(self._take(self._number(8)).decode("utf-8", "surrogatepass"))

    # Lists and dicts.

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def _marked(self) -> list[Any]:
        """Take what lies above the last mark from the stack."""
        height = self._marks.pop()
        if height > len(self._stack):
            raise ValueError(height)
        found = self._stack[height:]
        del self._stack[height:]
        return found

    def empty_list(self) -> None:
        self._stack.append([])

    def empty_dict(self) -> None:
        self._stack.append({})

    def marked_list(self) -> None:
        self._stack.append(self._marked())

    def marked_dict(self) -> None:
        items = self._marked()
        self._stack.append({})
        self._fill(items)

    def append(self) -> None:
        value = self._stack.pop()
        self._container(list).append(value)

    def appends(self) -> None:
        values = self._marked()
        self._container(list).extend(values)

    def set_item(self) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._fill([key, value])

    def set_items(self) -> None:
        self._fill(self._marked())

    def _fill(self, items: list[Any]) -> None:
        """Add keys and values, in turns, to the dict on top."""
        container = self._container(dict)
        if len(items) % 2:
            raise ValueError(items)
        container.update(zip(items[::2], items[1::2], strict=True))

    def _container(self, kind: type) -> Any:
        top = self._stack[-1]
        if type(top) is not kind:
            raise TypeError(kind)
        return top

    # The memo, the stack itself, and what says nothing.

    def put_line(self) -> None:
        self._memo[int(self._line())] = self._stack[-1]

    def put1(self) -> None:
        self._memo[self._number(1)] = self._stack[-1]

    def put4(self) -> None:
        self._memo[self._number(4)] = self._stack[-1]

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get_line(self) -> None:
        self._stack.append(self._memo[int(self._line())])

    def get1(self) -> None:
        self._stack.append(self._memo[self._number(1)])

    def get4(self) -> None:
        self._stack.append(self._memo[self._number(4)])

    def pop(self) -> None:
        self._stack.pop()

    def pop_mark(self) -> None:
        self._marked()

    def duplicate(self) -> None:
        self._stack.append(self._stack[-1])

    def protocol(self) -> None:
        self._take(1)

    def frame(self) -> None:
        self._take(8)


def _text(found: bytes) -> str:
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError:
        return found.decode("latin-1")


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code[:1] == b"x" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _ESCAPED[code]


_STEPS: dict[int, Callable[[_Machine], None]] = {
    code[0]: step
    for code, step in {
        b"N": _Machine.none,
        b"\x88": _Machine.true,
        b"\x89": _Machine.false,
        b"I": _Machine.int_line,
        b"L": _Machine.long_line,
        b"F": _Machine.float_line,
        b"K": _Machine.int1,
        b"M": _Machine.int2,
        b"J": _Machine.int4,
        b"\x8a": _Machine.long1,
        b"\x8b": _Machine.long4,
        b"G": _Machine.float8,
        b"S": _Machine.quoted,
        b"U": _Machine.bytes1,
        b"T": _Machine.bytes4,
        b"V": _Machine.text_line,
        b"\x8c": _Machine.text1,
        b"X": _Machine.text4,
        b"\x8d": _Machine.text8,
        b"(": _Machine.mark,
        b"]": _Machine.empty_list,
        b"}": _Machine.empty_dict,
        b"l": _Machine.marked_list,
        b"d": _Machine.marked_dict,
        b"a": _Machine.append,
        b"e": _Machine.appends,
        b"s": _Machine.set_item,
        b"u": _Machine.set_items,
        b"p": _Machine.put_line,
        b"q": _Machine.put1,
        b"r": _Machine.put4,
        b"g": _Machine.get_line,
        b"h": _Machine.get1,
        b"j": _Machine.get4,
        b"\x94": _Machine.memoize,
        b"0": _Machine.pop,
        b"1": _Machine.pop_mark,
        b"2": _Machine.duplicate,
        b"\x80": _Machine.protocol,
        b"\x95": _Machine.frame,
    }.items()
}
"""Steps of the machine by the code of their instruction."""
