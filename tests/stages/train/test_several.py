"""Several indexes in one training, one of them of one-frame videos."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train_mini import SENTENCES, VIDEO_IDS, Interrupting, encoded_by, small, write_texts

from schemas.errors import ConfigError, CorruptInput, MissingInput, SchemaMismatch, TglError
from schemas.layouts import EXPRESSIONS_TABLE, HISTORY_TABLE, TEXTS_TABLE, WEIGHTS_FILE
from schemas.parquet import read_table
from schemas.tables import HISTORY
from stages.core.engine.execute import Outcome
from stages.train import loop
from stages.train.config import IndexFolders, TrainConfig, TrainInputs, index_weights, paired_texts
from stages.train.initial import initial_model
from stages.train.stage import STAGE

Run = Callable[..., Outcome]
HALF_PRECISION = 2e-3
COUNT = len(SENTENCES) * len(VIDEO_IDS)


@pytest.fixture
def both(inputs: TrainInputs, stills: Path) -> TrainInputs:
    """The videos, and their first frames; the same names of videos in both."""
    return dataclasses.replace(inputs, also=(IndexFolders(stills, inputs.text),))


def history(folder: Path, name: str) -> list[float]:
    rows = read_table(folder / HISTORY_TABLE, HISTORY).to_pylist()
    return [row["value"] for row in rows if row["name"] == name]


def same(one: Path, two: Path) -> bool:
    first, second = load_file(one / WEIGHTS_FILE), load_file(two / WEIGHTS_FILE)
    return all(torch.equal(first[name], second[name]) for name in first)


def test_an_interrupted_run_of_two_indexes_goes_on_to_identical_weights(
    run_stage: Run, both: TrainInputs, tmp_path: Path
) -> None:
    """Whether workers load the clips or not, and with an order that steps cut anywhere."""
    config = small(steps=3, batch=2, index_weights=(2.0, 1.0))
    whole = run_stage(STAGE, config, both, tmp_path / "whole", workers=2)
    assert whole.counts["expressions"] == 2 * COUNT
    assert whole.counts["of one-frame videos"] == COUNT
    assert whole.counts["without moments, whole video taken"] == len(VIDEO_IDS)
    assert whole.counts["epochs of index 1"] == 4 / COUNT
    assert whole.counts["epochs of index 2"] == 2 / COUNT
    with pytest.raises(KeyboardInterrupt):
        run_stage(STAGE, config, both, tmp_path / "cut", progress=Interrupting(1))
    run_stage(STAGE, config, both, tmp_path / "cut")
    assert same(tmp_path / "whole", tmp_path / "cut")
    for name in ("loss", "J", "norm"):
        assert history(tmp_path / "whole", name) == history(tmp_path / "cut", name)


def test_cached_features_are_those_of_the_clips_own_index(
    run_stage: Run, both: TrainInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The videos of both indexes have the same names, and other frames."""
    met: list[torch.Tensor] = []
    original = loop.ClipBatch.of

    def spy(clips, features):  # type: ignore[no-untyped-def]
        met.append(features.coarse)
        return original(clips, features)

    monkeypatch.setattr(loop.ClipBatch, "of", spy)
    config = small(steps=1, index_weights=(1.0, 1.0), still="repeat")
    run_stage(STAGE, config, both, tmp_path / "live")
    run_stage(STAGE, dataclasses.replace(config, cache_features=0.1), both, tmp_path / "cached")
    live, cached = met
    apart = (live - cached).abs().amax(dim=(1, 2, 3))
    assert (apart < HALF_PRECISION * live.abs().max()).all()
    first, other = live[0], live[small().clip_frames]  # a clip of each index
    assert (first - other).abs().max() > 10 * HALF_PRECISION * live.abs().max()


def test_what_each_index_gives_is_in_the_fingerprint(
    both: TrainInputs, inputs: TrainInputs
) -> None:
    """A training with one index has the receipt that it had before there could be more."""
    assert set(inputs.digests()) == {"index", "text", "backbone"}
    assert set(both.digests()) == {"index", "text", "backbone", "index 2", "text 2"}
    assert both.digests()["index 2"] != both.digests()["index"]
    chosen = {"index_weights": (1.0, 2.0), "still": "repeat", "lr_scaling": "sqrt"}
    assert not chosen.keys() & small().to_dict().keys()
    expected = chosen | {"index_weights": [1.0, 2.0], "lr_batch": 0}
    assert small(**chosen).to_dict() == small().to_dict() | expected


def test_relevance_is_not_learned_from_stills(
    run_stage: Run, inputs: TrainInputs, stills: Path, tmp_path: Path
) -> None:
    """With stills alone, the relevance head keeps its first weights; the adapter does not."""
    only = dataclasses.replace(inputs, index=stills)
    config, out = small(adapter_steps=1, steps=1, warmup=0), tmp_path / "out"
    run_stage(STAGE, config, only, out)
    assert history(out, "relevance") == [0.0, 0.0]
    first = initial_model(config, only, 16).state_dict()
    last = load_file(out / WEIGHTS_FILE)
    moved = {name for name in last if not torch.equal(last[name], first[name])}
    assert not [name for name in moved if ".relevance_" in name]
    assert {"adapter.heatmap.weight", "adapter.coarse_out.weight"} <= moved


def test_rates_follow_the_batch_only_when_told(
    run_stage: Run, inputs: TrainInputs, tmp_path: Path
) -> None:
    rates = {"lr": 1e-5, "lr_new": 3e-5, "lr_scaling": "sqrt", "lr_batch": 1}
    config = small(steps=1, warmup=0, batch=2, accumulate=2, **rates)
    run_stage(STAGE, config, inputs, tmp_path / "out")
    assert history(tmp_path / "out", "lr") == [2e-5]
    assert history(tmp_path / "out", "lr_new") == [6e-5]


@pytest.mark.parametrize(
    ("rule", "batch", "factor"),
    [
        ("none", 0, 1.0),
        ("sqrt", 4, 4.0),
        ("linear", 4, 16.0),
        ("sqrt", 0, 4.0),
        ("linear", 128, 0.5),
    ],
)
def test_the_factor_of_the_rates(rule: str, batch: int, factor: float) -> None:
    """64 clips per step; the default rates are those of 4."""
    config = TrainConfig(batch=4, accumulate=2, lr_scaling=rule, lr_batch=batch)
    assert config.rate_factor(8) == factor
    assert dataclasses.replace(config, accumulate=1).rate_factor(16) == factor


def test_a_batch_for_the_rates_says_by_which_rule() -> None:
    with pytest.raises(ConfigError, match=r"--lr-batch: 16 has no effect.*--lr-scaling sqrt"):
        TrainConfig(lr_batch=16)


def test_a_damaged_frame_of_a_further_index_is_named(
    run_stage: Run, both: TrainInputs, stills: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(stills, tmp_path / "stills"))
    for path in (other / "frames").rglob("*.jpg"):
        path.write_bytes(path.read_bytes()[:200])
    damaged = dataclasses.replace(both, also=(IndexFolders(other, both.text),))
    with pytest.raises(CorruptInput, match=str(other)):
        run_stage(STAGE, small(), damaged, tmp_path / "out")


# --- refusals ---------------------------------------------------------------------------------


def refusal(run_stage: Run, config: TrainConfig, inputs: TrainInputs, out: Path) -> TglError:
    with pytest.raises(TglError) as caught:
        run_stage(STAGE, config, inputs, out)
    assert not out.exists()
    assert "\n" not in str(caught.value)
    return caught.value


def test_weights_are_one_for_each_index(
    run_stage: Run, both: TrainInputs, inputs: TrainInputs, tmp_path: Path
) -> None:
    for given, chosen, line in (
        (both, (1.0,), "--weights: 1 weight for 2 indexes; give one for INDEX and one for each"),
        (inputs, (1.0, 2.0), "--weights: 2 weights for 1 index; give one for INDEX"),
    ):
        error = refusal(run_stage, small(index_weights=chosen), given, tmp_path / "out")
        assert isinstance(error, ConfigError)
        assert str(error).startswith(line)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (1.0, -2.0), (float("nan"), 1.0)])
def test_weights_are_positive(weights: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="--weights: a weight must be a positive number"):
        small(index_weights=weights)


def test_shifted_stills_cannot_be_cached(
    run_stage: Run, both: TrainInputs, stills: Path, tmp_path: Path
) -> None:
    error = refusal(run_stage, small(cache_features=0.1), both, tmp_path / "out")
    assert str(error) == (
        f"--cache-features: cached features cannot be shifted, and {stills} has one-frame videos; "
        "set --still repeat or --cache-features 0"
    )


def test_every_index_has_its_texts_and_all_are_encoded_alike(
    run_stage: Run, inputs: TrainInputs, stills: Path, tmp_path: Path
) -> None:
    write_texts(tmp_path / "few", ["a square"])
    write_texts(tmp_path / "narrow", [text for text, _ in SENTENCES.values()], width=8)
    one = encoded_by("letters", inputs.text, tmp_path / "one")
    two = encoded_by("words", inputs.text, tmp_path / "two")
    hint = "; precompute all texts with one encoder"
    for text, other, kind, line in (
        (inputs.text, tmp_path / "few", MissingInput, "no embedding of 3 of 4 sentences"),
        (
            inputs.text,
            tmp_path / "narrow",
            SchemaMismatch,
            f"{tmp_path / 'narrow'}: has 8 numbers per token, but {inputs.text} has 16{hint}",
        ),
        (
            one,
            two,
            SchemaMismatch,
            f"{two}: encoded by words, mean pooling, but {one} by letters, mean pooling{hint}",
        ),
    ):
        mixed = dataclasses.replace(inputs, text=text, also=(IndexFolders(stills, other),))
        error = refusal(run_stage, small(), mixed, tmp_path / "out")
        assert isinstance(error, kind)
        assert line in str(error)


def test_damage_to_a_further_index_gives_one_line(
    run_stage: Run, inputs: TrainInputs, stills: Path, tmp_path: Path
) -> None:
    for name in (EXPRESSIONS_TABLE, TEXTS_TABLE):
        folders = IndexFolders(tmp_path / name / "index", tmp_path / name / "text")
        shutil.copytree(stills, folders.index)
        shutil.copytree(inputs.text, folders.text)
        path = (folders.text if name == TEXTS_TABLE else folders.index) / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        mixed = dataclasses.replace(inputs, also=(folders,))
        assert str(path) in str(refusal(run_stage, small(), mixed, tmp_path / "out"))


def test_a_further_index_is_never_replaced(
    run_stage: Run, both: TrainInputs, stills: Path, tmp_path: Path
) -> None:
    own = IndexFolders(tmp_path / "index", tmp_path / "text")
    shutil.copytree(stills, own.index)
    shutil.copytree(both.text, own.text)
    mixed = dataclasses.replace(both, also=(own,))
    for out in (own.index, own.text, tmp_path):
        with pytest.raises(TglError, match="input"):
            run_stage(STAGE, small(), mixed, out, force=True)


def test_options_of_further_indexes() -> None:
    one, two, text = Path("one"), Path("two"), Path("text")
    assert paired_texts([], [], text) == ()
    assert paired_texts([one, two], [], text) == (IndexFolders(one, text), IndexFolders(two, text))
    assert paired_texts([one], [two], text) == (IndexFolders(one, two),)
    with pytest.raises(ConfigError, match="--also-text: 1 text for 2 indexes; give one for"):
        paired_texts([one, two], [text], text)
    assert index_weights(None) == ()
    assert index_weights("3,0.5") == (3.0, 0.5)
    with pytest.raises(ConfigError, match="--weights: '3;1' is not a list of numbers; write it as"):
        index_weights("3;1")
