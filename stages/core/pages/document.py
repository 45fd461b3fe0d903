"""A page of one file, and the parts that pages have in common."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from stages.core.pages.markup import html_text, report_text
from stages.core.pages.style import STYLE

_DIGITS = 5


class Column(NamedTuple):
    """A column of a data table; `kind` is text, share (of 1), coefficient or number."""

    key: str
    name: str
    kind: str


def html_page(title: str, sections: Iterable[str], *, style: str = "", script: str = "") -> str:
    """Make the page; it refers to no other file and to no server.

    Args:
        sections: of its body, as HTML.
        style, script: of this page, beside what all pages have.
    """
    code = f"<script>{script}</script>" if script else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html_text(title)}</title><style>{STYLE}{style}</style></head>"
        f"<body><main>{''.join(sections)}</main>{code}</body></html>\n"
    )


def cards(values: Iterable[tuple[str, str | None]], *, first: bool = False) -> str:
    """Make a row of cards of names and values; those without a value are left out.

    Args:
        first: stress the first one.
    """
    known = [(name, value) for name, value in values if value is not None]
    html = "".join(
        f'<div class="card{" main" if first and not place else ""}">'
        f"<b>{html_text(value)}</b><span>{html_text(name)}</span></div>"
        for place, (name, value) in enumerate(known)
    )
    return f"<div class=cards>{html}</div>"


def plots(figures: Iterable[tuple[str, str]]) -> str:
    """Make a grid of plots with their captions."""
    html = "".join(
        f"<figure><figcaption>{html_text(name)}</figcaption>{plot}</figure>"
        for name, plot in figures
    )
    return f'<div class="plots">{html}</div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Make a list of names and texts."""
    html = "".join(
        f"<dt>{html_text(name)}</dt><dd>{html_text(value)}</dd>" for name, value in pairs
    )
    return f"<dl class=facts>{html}</dl>"


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a small table whose first column is text."""
    head = "".join(f'<th scope="col">{html_text(name)}</th>' for name in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def data_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Any]],
    *,
    order: str,
    noun: str,
    hint: str,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Make a table that sorts and filters, once for each page; TABLE_SCRIPT fills it.

    The rows are JSON, so that thousands of them stay light.

    Args:
        rows: values by column; what follows them is for the page's own script.
        order: key of the column to sort by at first.
        noun: for the count, in the plural.
        hint: text in the empty box.
        more: further data for the page's own script.
    """
    data = {
        "columns": [{"key": column.key, "kind": column.kind} for column in columns],
        "rows": [[_cell(value) for value in row] for row in rows],
        "order": order,
        "noun": noun,
        **(more or {}),
    }
    heads = "".join(
        f'<th scope="col" class="{column.kind}"><button>{html_text(column.name)}</button></th>'
        for column in columns
    )
    return (
        f'<input id="filter" type="search" placeholder="{html_text(hint)}" aria-label="Filter"> '
        '<span id="count" class="figures"></span>'
        f'<div class="scroll"><table id="scores"><thead><tr>{heads}</tr></thead><tbody></tbody>'
        f'</table></div><script id="rows" type="application/json">{_json(data)}</script>'
    )


def _json(data: object) -> str:
    """JSON that no text in it can end the script element with."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return report_text(value)
    return round(value, _DIGITS) if isinstance(value, float) else value
