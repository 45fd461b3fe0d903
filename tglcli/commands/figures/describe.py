"""tgl describe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stages.tools.describe.config import DescribeConfig
from tglcli.options import RunOptions, stage_command

_STDOUT = "-"
_Index = Annotated[Path, typer.Argument(help="Index of tgl build-moments.")]
_Moments = Annotated[
    Path | None,
    typer.Option(
        help="Moments to describe: a file of any format, or the folder of an annotator or a stage.",
        show_default="those of the index",
    ),
]
_Against = Annotated[
    list[Path] | None,
    typer.Option(
        help="Moments to compare with, in the same forms, or another index; may be repeated.",
        show_default="none",
    ),
]
_Json = Annotated[
    str | None,
    typer.Option(
        "--json", metavar="FILE", help="Write everything as JSON; - prints it and nothing else."
    ),
]
_Html = Annotated[Path | None, typer.Option(help="HTML page to write, with plots.")]
_Table = Annotated[
    Path | None,
    typer.Option(help="Agreement per sentence to write, .csv or .parquet; with --against."),
]


@stage_command(DescribeConfig)
def describe(
    index: _Index,
    config: DescribeConfig,
    run: RunOptions,
    moments: _Moments = None,
    against: _Against = None,
    as_json: _Json = None,
    html: _Html = None,
    table: _Table = None,
) -> None:
    """Print statistics of a data set, and how well sets of moments agree.

    Videos, sentences, referents and spans as data set papers print them; with --against kappa,
    alpha and matched spans, with intervals over videos.

    Examples:
        tgl describe index --html index.html
        tgl describe index --against annotations/ann --against annotations/bob
        tgl describe index --against selected --table agreement.csv
    """
    from stages.core.engine.outputs import output_files, require_suffix
    from stages.tools.describe.describe import describe as make_description
    from stages.tools.describe.outputs import check_outputs, write_outputs
    from tglcli.tables.describe import print_description

    printed = as_json == _STDOUT
    document = None if printed or as_json is None else Path(as_json)
    check_outputs(table, compared=bool(against))
    inputs = [path for path in (index, moments, *(against or ())) if path is not None]
    with output_files(inputs, force=run.force) as files:
        paths = [None if path is None else files.add(path) for path in (document, html, table)]
        if document is not None:
            require_suffix(document, ".json", option="--json")
        if html is not None:
            require_suffix(html, ".html", ".htm", option="--html")
        found = make_description(index, config, moments=moments, against=against or ())
        write_outputs(found, *paths)
    if printed:
        typer.echo(json.dumps(found.document, indent=1))
    elif not run.quiet:
        print_description(found.document)
