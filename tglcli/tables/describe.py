"""The tables that `tgl describe` prints: what an index holds, its distributions, agreement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.printable import printable
from schemas.wording import amount, listing
from stages.tools.describe.names import (
    COEFFICIENT,
    DISTRIBUTIONS,
    FIGURE_NAMES,
    counts,
    distribution_cells,
    figure,
    interval,
)
from tglcli.tables.scores import percent

_LONGEST_NAME = 60


def print_description(document: Mapping[str, Any]) -> None:
    """Print all tables of a description."""
    console = Console(highlight=False)
    console.print(_counts_table(document))
    console.print(_distributions_table(document))
    for note in _notes(document):
        console.print(Text(printable(note)))
    agreement = document["agreement"]
    if agreement:
        _print_agreement(console, agreement)


def _print_agreement(console: Console, agreement: Mapping[str, Any]) -> None:
    for pair in agreement["pairs"]:
        console.print()
        console.print(Text(_pair_line(pair), "italic"))
        console.print(_figures_table(pair["figures"]))
        for line in _left_out(pair):
            console.print(Text(line))
    if agreement["all"]:
        console.print()
        console.print(Text(_all_line(agreement["all"])))
    for found in agreement["sets"]:
        if found["unknown_sentences"]:
            lost = _keys(found["unknown_sentences"])
            console.print(Text(f"{_named(found['name'])}: not in the index: {lost}"))


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(headings[0], overflow="fold")
    for name in headings[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _counts_table(document: Mapping[str, Any]) -> Table:
    table = _table("", "number", "%")
    for name, number, share in counts(document):
        table.add_row(name, number, "" if share is None else percent(share))
    return table


def _distributions_table(document: Mapping[str, Any]) -> Table:
    table = _table("", "mean", "median", "quartiles", "range")
    for part, key, name, form in DISTRIBUTIONS:
        found = document[part][key]
        if found is not None:
            table.add_row(name, *distribution_cells(found, form))
    return table


def _notes(document: Mapping[str, Any]) -> Iterable[str]:
    moments = document["moments"]
    if document["referents"]["per_sentence"]:
        yield "* of sentences with a target"
    else:
        yield "the index does not tell what its sentences refer to, as that of a test split"
    sources = ", ".join(f"{count:,} {name}" for name, count in moments["sources"].items())
    if sources:
        yield f"source of the moments: {sources}"
    if moments["merged_rows"]:
        yield f"{amount(moments['merged_rows'], 'rows')} overlap or touch another and count as one"
    if moments["of_all_referents_together"]:
        together = amount(moments["of_all_referents_together"], "sentences")
        yield f"{together} with moments of all referents together"
    if moments["unknown_sentences"]:
        yield f"moments of {amount(moments['unknown_sentences'], 'sentences')} not in the index"


def _pair_line(pair: Mapping[str, Any]) -> str:
    return (
        f"{_named(pair['one'])} and {_named(pair['other'])}: "
        f"{amount(pair['sentences'], 'sentences')} of {amount(pair['videos'], 'videos')}, "
        f"{pair['spans_of_one']:,} and {amount(pair['spans_of_other'], 'spans')}, "
        f"{pair['matched_spans']:,} matched"
    )


def _figures_table(figures: Mapping[str, Mapping[str, float | None]]) -> Table:
    table = _table("", "value", "95 % interval")
    for _, key, name, form in FIGURE_NAMES:
        found = figures[key]
        table.add_row(name, figure(found["value"], form), interval(found, form))
    return table


def _left_out(pair: Mapping[str, Any]) -> Iterable[str]:
    for key, name in (("only_one", pair["one"]), ("only_other", pair["other"])):
        if pair[key]:
            yield f"only {_named(name)} judges {_keys(pair[key])}; not compared"


def _keys(keys: Sequence[Sequence[str]]) -> str:
    return printable(listing(["/".join(key) for key in keys], "sentences"))


def _all_line(found: Mapping[str, Any]) -> str:
    alpha = found["alpha"]
    return (
        f"Krippendorff's alpha of all {len(found['sets'])}: "
        f"{figure(alpha['value'], COEFFICIENT)} ({interval(alpha, COEFFICIENT)}), "
        f"{amount(found['sentences'], 'sentences')} that at least two judge"
    )


def _named(name: str) -> str:
    return printable(name, _LONGEST_NAME)
