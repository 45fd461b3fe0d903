"""The evidence of training videos, gathered and kept on disk."""

from pathlib import Path

import pytest
import torch
from train_mini import FRAMES, SENTENCES, SIZE

from stages.core.index.index import Index
from stages.core.index.texts import TextStore
from stages.core.model import budgets
from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.backbones.families import load_backbone
from stages.core.model.config import ModelConfig
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.core.model.track_head.judging import judge_tracks
from stages.train.config import TrainInputs
from stages.train.track_head.bank import Example, Gatherer, load_examples, save_examples
from stages.train.track_head.examples import as_they_are, true_tracks
from stages.train.validation.videos import KeptVideos

TOLERANCE = 1e-5


@pytest.fixture
def model(backbone: Path) -> TglModel:
    torch.manual_seed(0)
    sizes = ModelConfig(adapter_width=16, adapter_layers=1, adapter_heads=2, track_width=8)
    return TglModel(sizes, load_backbone(backbone), 16).eval()


@pytest.fixture
def index(inputs: TrainInputs) -> Index:
    return Index.open(inputs.index)


def gathered(model: TglModel, inputs: TrainInputs, index: Index) -> list[Example]:
    gatherer = Gatherer(index, TextStore.open(inputs.text), model, seed=0)
    open_video = KeptVideos(model.encode_frames, SIZE, torch.device("cpu"), decoders=1)
    with open_video(index.videos["one"]) as features:
        return gatherer.examples(index.videos["one"], features)


def test_a_video_gives_true_and_faulty_tracks(
    model: TglModel, inputs: TrainInputs, index: Index
) -> None:
    true, faulty = gathered(model, inputs, index)
    own = len(SENTENCES)
    assert true.labels.match[:own].int().tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert true.has_target.tolist()[:own] == [True, True, False, True]
    assert not true.has_target[own:].any()  # sentences of the other video
    assert true.evidence.tokens.shape == (len(true.has_target), 3, FRAMES, 16)
    assert faulty.evidence.tokens.shape[1] == 4


@pytest.mark.parametrize("limits", [{}, {"HEAD_BYTES": 1}, {"HEAD_BYTES": 1, "EVIDENCE_BYTES": 1}])
@torch.no_grad()
def test_the_head_reads_what_it_will_read_at_inference(
    model: TglModel,
    inputs: TrainInputs,
    index: Index,
    limits: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, most in limits.items():
        monkeypatch.setattr(budgets, name, most)
    true, _ = gathered(model, inputs, index)
    texts = TextStore.open(inputs.text)
    video = index.videos["one"]
    truth = true_tracks(index, video, torch.arange(FRAMES).numpy(), 16, None)  # type: ignore[arg-type]
    masks = as_they_are(truth).masks
    open_video = KeptVideos(model.encode_frames, SIZE, torch.device("cpu"), decoders=1)
    with open_video(video) as features:
        batch = TextBatch.of([texts.get(e.text) for e in index.expressions_of("one")])
        tokens = AdapterCache(model, features, model.adapter.text(batch), 1e9)
        judged = judge_tracks(model, tokens, len(masks), lambda frames: masks[:, list(frames)])
    assert model.track_head is not None
    match, relevance = model.track_head(true.evidence)
    count = len(index.expressions_of("one"))
    assert torch.allclose(match[:count].sigmoid(), torch.from_numpy(judged.match), atol=TOLERANCE)
    assert torch.allclose(
        relevance[:count].sigmoid(), torch.from_numpy(judged.relevance), atol=TOLERANCE
    )


def test_examples_are_read_as_they_were_written(
    model: TglModel, inputs: TrainInputs, index: Index, tmp_path: Path
) -> None:
    examples = gathered(model, inputs, index)
    save_examples(tmp_path / "0.pt", examples)
    found = load_examples(tmp_path / "0.pt")
    assert found is not None
    for one, other in zip(examples, found, strict=True):
        assert torch.equal(one.labels.relevant, other.labels.relevant)
        assert torch.equal(one.evidence.visible, other.evidence.visible)
        assert torch.allclose(one.evidence.tokens, other.evidence.tokens, atol=1e-2)
    assert [path.name for path in tmp_path.iterdir()] == ["0.pt"]


@pytest.mark.parametrize("damage", ["cut", "other", "missing"])
def test_a_damaged_file_counts_as_missing(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "0.pt"
    if damage != "missing":
        torch.save([{"tokens": torch.zeros(3)}], path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    assert load_examples(path) is None
