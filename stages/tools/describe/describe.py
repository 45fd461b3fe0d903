"""Statistics of an index and agreement of sets of moments, for `tgl describe`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError
from stages.core.index.index import Index
from stages.tools.describe.agreement import PairAgreement, compare
from stages.tools.describe.config import DescribeConfig
from stages.tools.describe.moment_sets import MomentSet, own_moments, read_moments
from stages.tools.describe.several import alpha_of_all
from stages.tools.describe.statistics import Samples, describe_index

FORMAT = "tgl-description"
VERSION = 1
_TWO = 2


@dataclass(frozen=True)
class Description:
    """Everything that is known of an index and its moments.

    Attributes:
        document: as `--json` writes it; keys are stable.
        samples: what its statistics are made of.
        sets: the sets of moments that are compared; one alone is not compared.
        pairs: the comparison of every two of them.
    """

    index: Index
    document: dict[str, Any]
    samples: Samples
    sets: tuple[MomentSet, ...]
    pairs: tuple[PairAgreement, ...]


def describe(
    folder: Path,
    config: DescribeConfig,
    *,
    moments: Path | None = None,
    against: Sequence[Path] = (),
) -> Description:
    """Compute the statistics of an index, and the agreement of its moments with others.

    Args:
        moments: a file or folder whose moments are described instead of those of the index.
        against: files or folders of moments to compare; each with each, and with those described,
            unless the index has none.

    Raises:
        ConfigError: there is nothing to compare with, or a set is named twice.
        TglError: as the readers of the index and of moments raise them.
    """
    _refuse_twice([moments or folder, *against])
    index = Index.open(folder)
    own = own_moments(index) if moments is None else read_moments(moments, index, config)
    others = [read_moments(path, index, config) for path in against]
    statistics, samples = describe_index(index, own, index.masks.visible_spans(), config.fps)
    sets = [*([own] if own.judged or not others else []), *others]
    if others and len(sets) < _TWO:
        raise ConfigError(
            "the index has no moments to compare with", where="--against", hint="name two sets"
        )
    pairs = tuple(compare(index, one, other) for one, other in combinations(sets, _TWO))
    document = {
        "format": FORMAT,
        "version": VERSION,
        "index": str(folder),
        **statistics,
        "agreement": _agreement(index, sets, pairs) if pairs else None,
    }
    return Description(index, document, samples, tuple(sets), pairs)


def _refuse_twice(paths: Sequence[Path]) -> None:
    for place, path in enumerate(paths):
        if path in paths[:place]:
            raise ConfigError("is compared with itself", where=path, hint="name it once")


def _agreement(
    index: Index, sets: Sequence[MomentSet], pairs: Sequence[PairAgreement]
) -> dict[str, Any]:
    return {
        "sets": [
            {
                "name": found.name,
                "sentences": len(found.judged),
                "unknown_sentences": [list(key) for key in found.unknown],
            }
            for found in sets
        ],
        "pairs": [pair.document() for pair in pairs],
        "all": alpha_of_all(index, sets) if len(sets) > _TWO else None,
    }
