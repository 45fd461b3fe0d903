"""Figures over the data set, from the tables alone; the keys of summary.json are stable."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.directories import write_text_atomic
from stages.score.cases import Case, VideoCases
from stages.score.config import ScoreConfig
from stages.score.faults import by_kind
from stages.score.results.frame_rows import mean
from stages.score.temporal import RECALL_THRESHOLDS, THRESHOLDS, TemporalScores

VERSION = 1
_MOMENT_LENGTHS = ((0.15, "up to 15 %"), (0.3, "15-30 %"), (0.6, "30-60 %"), (1.0, "60-100 %"))
_MOST_REFERENTS = 4
_PRECISION_SHOWN = (0.5, 0.75)


def summarise(
    config: ScoreConfig,
    videos: Sequence[VideoCases],
    scores: pa.Table,
    frames: pa.Table,
    temporal: Mapping[tuple[str, str], TemporalScores],
    *,
    extra: int,
) -> dict[str, Any]:
    """Compute all figures of a run; scores are between 0 and 1, None if no case has one."""
    cases = [case for video in videos for case in video.cases]
    columns = _columns(scores)
    everything = np.ones(len(cases), bool)
    return {
        "version": VERSION,
        "protocol": config.protocol,
        "missing": config.missing,
        "videos": len(videos),
        "expressions": len(cases),
        "frames": frames.num_rows,
        **_scores(columns, everything),
        **{
            name: _mean_of(columns[name], everything)
            for name in ("J_recall", "F_recall", "J_decay", "F_decay")
        },
        "no_target": _no_target(cases, columns),
        "relevant": _part(columns, "relevant"),
        "irrelevant": _part(columns, "irrelevant"),
        "temporal": _temporal(list(temporal.values())),
        **_breakdowns(videos, cases, columns),
        "faults": _faults(frames),
        "extra_files": extra,
    }


def _breakdowns(
    videos: Sequence[VideoCases], cases: Sequence[Case], columns: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Compute the scores of groups of cases, for each way to group them."""
    totals = [video.num_frames for video in videos for _ in video.cases]
    lengths = [_moment_length(case, total) for case, total in zip(cases, totals, strict=True)]
    return {
        "by_annotator": _groups(columns, [case.group or None for case in cases]),
        "by_referents": _groups(columns, [_referents(case) for case in cases]),
        "by_moment_length": _groups(columns, lengths, [name for _, name in _MOMENT_LENGTHS]),
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Write a summary as JSON, keys in order."""
    write_text_atomic(path, json.dumps(summary, indent=1, allow_nan=False) + "\n")


def _columns(scores: pa.Table) -> dict[str, np.ndarray]:
    return {
        name: scores.column(name).to_numpy(zero_copy_only=False)
        for name in scores.column_names
        if name not in ("video_id", "expression_id")
    }


def _mean_of(values: np.ndarray, chosen: np.ndarray) -> float | None:
    """Compute the mean of the chosen values that are known."""
    known = values[chosen].astype(float)
    known = known[~np.isnan(known)]
    return mean(known) if len(known) else None


def _scores(columns: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, float | None]:
    """Compute mean J and F of the chosen cases, and the mean of both."""
    j, f = (_mean_of(columns[name], chosen) for name in ("J", "F"))
    both = None if j is None or f is None else (j + f) / 2
    return {"J": j, "F": f, "JF": both}


def _no_target(cases: Sequence[Case], columns: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """Compute the accuracies of MeViS v2 for expressions without a target; None if all have one.

    N_acc is the share of no-target expressions whose predicted masks are all empty, T_acc the share
    of the others with any mask that is not, Final the mean of both and J&F.
    """
    without = np.array([not case.tracks for case in cases], bool)
    if not without.any():
        return None
    predicted = columns["predicted_frames"].astype(float) > 0
    complete = columns["fault_frames"].astype(float) == 0
    n_acc = mean((~predicted & complete)[without].astype(float))
    t_acc = mean(predicted[~without].astype(float)) if (~without).any() else None
    overall = _scores(columns, np.ones(len(cases), bool))["JF"]
    parts = [overall, n_acc, t_acc]
    final = None if None in parts else math.fsum(p for p in parts if p is not None) / len(parts)
    return {
        "expressions": int(without.sum()),
        "N_acc": n_acc,
        "T_acc": t_acc,
        "Final": final,
        "with_target": _scores(columns, ~without),
    }


def _part(columns: dict[str, np.ndarray], part: str) -> dict[str, Any] | None:
    """Compute J and F over the relevant (or irrelevant) frames of each expression with any."""
    j, f = (columns[f"{name}_{part}"].astype(float) for name in ("J", "F"))
    known = ~np.isnan(j)
    if not known.any():
        return None
    return {"expressions": int(known.sum()), **_scores({"J": j, "F": f}, known)}


def _groups(
    columns: dict[str, np.ndarray],
    names: Sequence[str | None],
    order: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Compute the scores of the cases by the name of their group."""
    present = [name for name in order or sorted({n for n in names if n}) if name in names]
    labels = np.array([name or "" for name in names], dtype=object)
    return [
        {
            "group": name,
            "expressions": int((labels == name).sum()),
            **_scores(columns, labels == name),
        }
        for name in present
    ]


def _temporal(scores: Sequence[TemporalScores]) -> dict[str, Any] | None:
    """Compute means over the expressions with annotated moments; None if none was predicted."""
    if not scores:
        return None
    spans = np.array([s.span_tiou for s in scores if s.span_tiou is not None])
    precisions = np.array([s.precision for s in scores if s.precision is not None])
    keys = np.array([float(s.key_frame) for s in scores if s.key_frame is not None])
    known = len(spans) > 0
    return {
        "expressions": len(scores),
        "presence_tiou": mean(np.array([s.presence_tiou for s in scores])),
        "span_tiou": mean(spans) if known else None,
        **{
            f"R1@{limit}": mean((spans >= limit).astype(float)) if known else None
            for limit in RECALL_THRESHOLDS
        },
        **{
            f"mAP@{limit}": mean(precisions[:, THRESHOLDS.index(limit)]) if known else None
            for limit in _PRECISION_SHOWN
        },
        "mAP": mean(precisions.mean(axis=1)) if known else None,
        "key_frame_top1": mean(keys) if len(keys) else None,
    }


def _referents(case: Case) -> str:
    count = len(case.tracks)
    return str(count) if count < _MOST_REFERENTS else f"{_MOST_REFERENTS} or more"


def _moment_length(case: Case, frames: int) -> str | None:
    """Name the group of the case by the share of the video in which the expression is true."""
    if not case.spans or not frames:
        return None
    inside = len({frame for start, end in case.spans for frame in range(start, end)})
    return next(name for limit, name in _MOMENT_LENGTHS if inside <= limit * frames or limit == 1.0)


def _faults(frames: pa.Table) -> dict[str, Any]:
    counted = frames.column("fault").value_counts().to_pylist()
    kinds = {entry["values"]: entry["counts"] for entry in counted if entry["values"] is not None}
    return {"frames": sum(kinds.values()), "by_kind": by_kind(kinds)}
