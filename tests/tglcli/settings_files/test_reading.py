"""Settings files: what they may hold, and that receipts can be fed back."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from schemas.directories import Listing
from schemas.errors import ConfigError, CorruptInput, MissingInput
from schemas.receipts import Receipt, write_receipt
from stages.build_moments.config import IndexConfig
from stages.core.engine.settings import Settings
from stages.extract_frames.config import ExtractConfig
from stages.precompute_text.config import TextConfig
from stages.propagate.config import PropagateConfig
from stages.score.config import ScoreConfig
from stages.tools.references.config import ReferencesConfig
from stages.tools.render.config import RenderConfig
from stages.tools.select_moments.config import SelectConfig
from stages.tools.toy.config import ToyConfig
from stages.train.config import TrainConfig
from stages.zero_shot.assemble.config import AssembleConfig
from stages.zero_shot.ground.config import GroundConfig
from stages.zero_shot.track.config import TrackConfig
from tglcli.main import app
from tglcli.settings_files.reading import read_settings

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
CONFIGS: dict[str, type[Settings]] = {
    "extract-frames": ExtractConfig,
    "build-moments": IndexConfig,
    "precompute-text": TextConfig,
    "train": TrainConfig,
    "propagate": PropagateConfig,
    "score": ScoreConfig,
    "ground": GroundConfig,
    "track": TrackConfig,
    "assemble": AssembleConfig,
    "select-moments": SelectConfig,
    "render": RenderConfig,
    "references": ReferencesConfig,
    "toy": ToyConfig,
}


def read(path: Path, name: str = "train", typed: tuple[str, ...] = ()) -> dict[str, Any]:
    return read_settings(path, COMMANDS[name], list(COMMANDS), typed)


def file(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text, encoding="utf-8")
    return path


def receipt(folder: Path, stage: str, config: dict[str, Any]) -> Path:
    write_receipt(folder, Receipt(stage, 1, config, {}, "0" * 64, {}, Listing(0, 0, "", {})))
    return folder


def test_values_of_every_type_by_either_spelling(tmp_path: Path) -> None:
    text = (
        'steps = 7\nclip-frames = 6\nlr_new = 1\nmdp = false\nsampling = "random"\nalso = ["a"]\n'
    )
    assert read(file(tmp_path, text)) == {
        "steps": 7,
        "clip_frames": 6,
        "lr_new": 1,
        "mdp": False,
        "sampling": "random",
        "also": ["a"],
    }


def test_a_table_per_command(tmp_path: Path) -> None:
    path = file(tmp_path, 'seed = 3\n[train]\nsteps = 7\n[score]\nmissing = "zero"\n')
    assert read(path) == {"seed": 3, "steps": 7}


def test_a_former_name(tmp_path: Path) -> None:
    path = file(tmp_path, "drop-specks = 2\n")
    assert read(path, "propagate") == {"drop_specks": 2}  # the parameter of --min-length


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz = 3", "train.toml, stepz: no such option of tgl train; did you mean steps?"),
        ("unheard-of = 3", "unheard-of: no such option of tgl train; see tgl train --help"),
        ('steps = "7"', 'steps: a whole number is needed, found "7"'),
        ("steps = 7.0", "steps: a whole number is needed, found 7.0"),
        ("steps = true", "steps: a whole number is needed, found true"),
        ('lr = "fast"', 'lr: a number is needed, found "fast"'),
        ("mdp = 1", "mdp: true or false is needed, found 1"),
        ("init = 1", "init: text in quotes is needed, found 1"),
        ("init = 1979-05-27", 'init: text in quotes is needed, found "1979-05-27"'),
        ('also = "a"', 'also: a list is needed, found "a"'),
        ("also = [1]", "also: text in quotes is needed, found 1"),
        (
            'sampling = "momen"',
            "sampling: 'momen' is not one of moment, random; did you mean moment?",
        ),
        ("[trian]\nsteps = 1", "[trian]: no such command of tgl; did you mean train or track?"),
        ("lr-new = 1\n[train]\nlr_new = 2", "lr_new: is given at the top and in [train]"),
        ('index = "x"', "index: is an argument, not an option; type it"),
        ("force = true", "force: cannot be set in a file; type --force"),
        ('config = "x"', "config: cannot be set in a file; type --config"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read(file(tmp_path, text))


def test_damage_and_absence(tmp_path: Path) -> None:
    with pytest.raises(
        CorruptInput, match=r"is not TOML \(Invalid value .*tgl train --print-config"
    ):
        read(file(tmp_path, "steps ="))
    with pytest.raises(CorruptInput, match="is not TOML"):
        read(file(tmp_path, "a = " + "[" * 100_000))
    with pytest.raises(MissingInput, match="no such settings file"):
        read(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"has no receipt.json; name a TOML file"):
        read(tmp_path)


@given(st.binary(max_size=40))
def test_no_file_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text)
    with contextlib.suppress(ConfigError, CorruptInput):
        assert isinstance(read(path), dict)


@pytest.mark.parametrize("name", CONFIGS)
def test_settings_of_a_receipt_are_options(name: str, tmp_path: Path) -> None:
    config = json.loads(json.dumps(CONFIGS[name]().to_dict()))
    folder = receipt(tmp_path, name, config)
    found = read(folder, name)
    unset = {key for key, value in config.items() if value is None or key == "index_weights"}
    assert found == {key: value for key, value in config.items() if key not in unset}
    assert read(folder / "receipt.json", name) == found


def test_a_receipt_of_another_stage(tmp_path: Path) -> None:
    folder = receipt(tmp_path, "score", {})
    with pytest.raises(ConfigError, match="was made by tgl score, so its settings are not those"):
        read(folder)


def test_weights_of_indexes_come_back_as_typed(tmp_path: Path) -> None:
    assert read(receipt(tmp_path, "train", {"index_weights": [3.0, 1.5]})) == {"weights": "3,1.5"}


@pytest.mark.parametrize(
    ("name", "config", "option", "hint"),
    [
        ("propagate", {"moments": "file"}, "moments", "--moments was; type --moments TEXT too"),
        ("ground", {"model": "file"}, "candidates", "--model was; type --from PATH too"),
    ],
)
def test_a_file_that_the_receipt_does_not_name_is_typed(
    name: str, config: dict[str, Any], option: str, hint: str, tmp_path: Path
) -> None:
    folder = receipt(tmp_path, name, config)
    with pytest.raises(ConfigError, match=f"does not record which file {hint}"):
        read(folder, name)
    assert read(folder, name, (option,)) == {}
