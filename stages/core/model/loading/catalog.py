"""The published models that tgl names: size, licence, use; and the defaults of the pipeline.

Any other model of the same families can be named by its hub id or folder.
"""

from __future__ import annotations

from dataclasses import dataclass

DETECTOR, TRACKER, JUDGE, TEXT = "detector", "tracker", "judge", "text encoder"
APACHE = "Apache-2.0"
_MB, _GB = 10**6, 10**9


@dataclass(frozen=True)
class PublishedModel:
    """A model on the hub.

    Attributes:
        name: hub id.
        roles: of DETECTOR, TRACKER, JUDGE and TEXT; a tracker is also a backbone of `tgl train`.
        licence: as its page names it.
        use: when to choose it, for tables in the documentation.
        size: bytes of the files that are downloaded, to two digits; None where not known.
        gated: whether its authors grant access on request.
        extra: the extra of tgl that it needs, such as "sam3"; "" for none.
    """

    name: str
    roles: tuple[str, ...]
    licence: str
    use: str
    size: int | None = None
    gated: bool = False
    extra: str = ""


DEFAULT_DETECTOR = "IDEA-Research/grounding-dino-tiny"
"""The right box is among its first five for 89.5 % of RefCOCO's sentences."""
DEFAULT_TRACKER = "facebook/sam2.1-hiera-small"
CPU_TRACKER = "facebook/sam2.1-hiera-tiny"
"""Encodes a frame in 6 s on two cores (3 s at 512 px). EdgeTAM is faster still, but its encoder
needs timm, and timm a torchvision that fits torch: too much to ask before the first mask."""
DEFAULT_JUDGE = "google/siglip2-base-patch16-224"
"""Not openai/clip-vit-base-patch32, whose main branch has its weights as a pickle only, nor
google/siglip-base-patch16-224, whose tokenizer needs sentencepiece."""
DEFAULT_BACKBONE = "facebook/sam2.1-hiera-base-plus"

MODELS = (
    PublishedModel(
        DEFAULT_DETECTOR, (DETECTOR,), APACHE, "the default: whole sentences, on any machine",
        size=690 * _MB,
    ),
    PublishedModel(
        "IDEA-Research/grounding-dino-base", (DETECTOR,), APACHE,
        "the same with a larger image encoder",
        size=930 * _MB,
    ),
    PublishedModel(
        "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det", (DETECTOR,), APACHE,
        "Grounding DINO trained again on more data",
        size=690 * _MB,
    ),
    PublishedModel(
        "google/owlv2-base-patch16-ensemble", (DETECTOR,), APACHE,
        "names of things rather than sentences",
        size=620 * _MB,
    ),
    PublishedModel(
        "facebook/sam3", (DETECTOR, TRACKER), "SAM License",
        "noun phrases, with masks; one encoder pass serves detector and tracker",
        size=3_400 * _MB, gated=True, extra="sam3",
    ),
    PublishedModel(
        CPU_TRACKER, (TRACKER,), APACHE, "the default without a GPU", size=160 * _MB
    ),
    PublishedModel(
        DEFAULT_TRACKER, (TRACKER,), APACHE, "the default on a GPU", size=180 * _MB
    ),
    PublishedModel(
        DEFAULT_BACKBONE, (TRACKER,), APACHE, "the default backbone of tgl train",
        size=320 * _MB,
    ),
    PublishedModel(
        "facebook/sam2.1-hiera-large", (TRACKER,), APACHE, "the most accurate SAM 2.1",
        size=900 * _MB,
    ),
    PublishedModel(
        "yonigozlan/EdgeTAM-hf", (TRACKER,), APACHE, "a small encoder and a small memory",
        extra="edgetam",
    ),
    PublishedModel(
        DEFAULT_JUDGE, (JUDGE,), APACHE, "the default: appearance, many languages",
        size=1_500 * _MB,
    ),
    PublishedModel(
        "google/siglip-base-patch16-224", (JUDGE,), APACHE,
        "smaller; its tokenizer needs the package sentencepiece",
        size=810 * _MB,
    ),
    PublishedModel(
        "openai/clip-vit-base-patch32", (JUDGE,), "MIT", "the fastest judge", size=610 * _MB,
    ),
    PublishedModel(
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct", (JUDGE,), APACHE,
        "actions and order, for small machines; needs the package num2words",
        size=2_000 * _MB,
    ),
    PublishedModel(
        "Qwen/Qwen3-VL-2B-Instruct", (JUDGE,), APACHE,
        "actions and relations; on a GPU",
    ),
    PublishedModel(
        "FacebookAI/roberta-base", (TEXT,), "MIT", "for tgl precompute-text --encoder",
        size=500 * _MB,
    ),
)  # fmt: skip


def published(name: str) -> PublishedModel | None:
    """The model of a hub id; None for one that tgl does not name."""
    return next((model for model in MODELS if model.name == name), None)


def size_text(size: int | None) -> str:
    """A download's size: `0.7 GB`, `160 MB`, `size unknown`.

    Args:
        size: in bytes.
    """
    if size is None:
        return "size unknown"
    if size < _GB // 2:
        return f"{max(1, round(size / _MB))} MB"
    return f"{size / _GB:.1f} GB"


def catalog_rows() -> list[tuple[str, str, str, str, str]]:
    """Rows of the documentation's table: model, role, size, licence, use."""
    rows = []
    for model in MODELS:
        licence = f"{model.licence}, access on request" if model.gated else model.licence
        needs = f" (needs `tgl[{model.extra}]`)" if model.extra else ""
        rows.append(
            (
                f"`{model.name}`",
                ", ".join(model.roles),
                size_text(model.size).replace("size unknown", "not stated"),
                licence,
                model.use + needs,
            )
        )
    return rows
