"""tgl precompute-text against one call of the encoder for each sentence.

    python benchmarks/text.py [--sentences 5000] [--encoder FOLDER]

The sentences consist of MeViS-like phrases and contain many repeats. Without --encoder a RoBERTa of
random weights is made: 4 layers of width 256, as small as the encoders in use. The plain way
encodes each sentence as it comes, repeats included.
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast, RobertaConfig
from transformers import RobertaModel as Roberta

from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.texts import TextStore
from stages.precompute_text.config import TextConfig, TextInputs, local_encoder
from stages.precompute_text.stage import STAGE

SUBJECTS = "cat dog horse rabbit man panda giraffe bird".split()  # noqa: SIM905 (as words)
VERBS = ("jumps", "runs away", "turns around", "climbs", "bends its neck down", "eats")
PLACES = ("to the left", "towards us", "behind the tree", "and comes back", "", "twice", "alone")
DESCRIPTIONS = ("The white", "A smaller", "the other", "one big", "the leftmost")
CHECKED = 50


def main() -> None:
    """Time both ways and compare their vectors."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sentences", type=int, default=5000)
    options.add_argument("--encoder", help="folder of a transformers text encoder")
    given = options.parse_args()
    sentences = make_sentences(given.sentences)
    print(f"{len(sentences)} sentences, {len(set(sentences))} distinct")
    with tempfile.TemporaryDirectory(prefix="tgl-text-") as folder:
        root = Path(folder)
        encoder = given.encoder or str(make_encoder(root / "encoder", sentences))
        ours = run_ours(root, encoder, sentences)
        plain, vectors = run_plain(encoder, sentences)
        store = TextStore.open(root / "text")
        worst = max(
            float(np.abs(store.get(s).embeddings - vectors[s]).max())
            for s in list(vectors)[:CHECKED]
        )
    print(f"one call per sentence: {plain:.1f} s, tgl {ours:.1f} s, ratio {plain / ours:.1f}")
    print(f"largest difference of an embedding value (stored as float16): {worst:.1e}")


def run_ours(root: Path, encoder: str, sentences: list[str]) -> float:
    """Time the whole stage, with loading the encoder and writing the table, in seconds."""
    rows = [
        {
            "video_id": "v",
            "expression_id": str(n),
            "expression": s,
            "object_ids": [],
            "anno_ids": [],
        }
        for n, s in enumerate(sentences)
    ]
    (root / "index").mkdir()
    write_table(root / "index" / "expressions.parquet", rows_of(rows, EXPRESSIONS), EXPRESSIONS)
    started = time.perf_counter()
    inputs = TextInputs(root / "index", local_encoder(encoder))
    execute(STAGE, TextConfig(encoder=encoder), inputs, root / "text",
            runtime=Runtime(device="auto"), progress=SilentProgress())  # fmt: skip
    return time.perf_counter() - started


@torch.inference_mode()
def run_plain(encoder: str, sentences: list[str]) -> tuple[float, dict[str, np.ndarray]]:
    """Time one call per sentence, in seconds, and the vectors (L, D); nothing is written."""
    started = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModel.from_pretrained(encoder).to(device).eval()
    vectors = {}
    for sentence in sentences:
        tokens = tokenizer(sentence, return_tensors="pt").to(device)
        inputs = {k: tokens[k] for k in ("input_ids", "attention_mask")}
        vectors[sentence] = model(**inputs).last_hidden_state[0].float().cpu().numpy()
    return time.perf_counter() - started, vectors


def make_sentences(count: int) -> list[str]:
    """Draw MeViS-like sentences with repeats from half as many."""
    chosen = random.Random(0)
    parts = itertools.product(SUBJECTS, VERBS, PLACES, DESCRIPTIONS)
    phrases = [" ".join(f"{d} {s} {v} {p}".split()) for s, v, p, d in parts]
    distinct = [
        f"{a} and {b}" if n % 2 else a
        for n, (a, b) in enumerate(zip(phrases, reversed(phrases), strict=True))
    ]
    more = [f"{s}, {n}th from the left" for n in range(1, 3) for s in distinct]
    pool = chosen.sample(distinct + more, count // 2)
    return chosen.choices(pool, k=count)


def make_encoder(folder: Path, sentences: list[str]) -> Path:
    """Save a RoBERTa of random weights with a tokenizer of these sentences' words."""
    words = sorted({word for s in sentences for word in s.replace(",", " ,").split()})
    known = {word: n for n, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
    )
    wrapped.save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=len(known), hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
        intermediate_size=1024, max_position_embeddings=80, pad_token_id=1,
    )  # fmt: skip
    torch.manual_seed(0)
    Roberta(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
