"""The TGL model: a backbone (SAM 2, EdgeTAM, SAM 3), a text adapter, banks of relevant moments.

Importing this package loads neither torch nor transformers; import the modules below. Letters:
B items of a batch, E expressions, T frames of a clip, N text tokens, D text width, C channels,
S image side, h = S/16 (feature side; S/14 in SAM 3), s = 4h (mask side), M mask candidates (3, or
1).

Build::

    from stages.core.model.config import LossConfig, ModelConfig, SegmenterConfig  # no torch
    from stages.core.model.backbones.families import build_backbone, load_backbone
    from stages.core.model.backbones.presets import toy_preset
    from stages.core.model.tgl import TglModel

    backbone = load_backbone(folder)                   # strict: config.json + model.safetensors
    backbone = load_backbone(folder, image_size=512)   # the same weights on smaller frames
    backbone = build_backbone(toy_preset(128))         # random weights
    model = TglModel(ModelConfig(), backbone, text_dim=D, segmenter=SegmenterConfig())
    model.parameter_groups()    # {"new": {name: Parameter}, "pretrained": {...}, "frozen": {...}}
                                # frozen parameters already have requires_grad False

Inputs::

    from stages.core.model.backbones.preprocess import resize_frames
    from stages.core.model.text import TextBatch

    frames = resize_frames(frames, size)    # uint8 (T, H, W, 3) -> uint8 (T, 3, size, size)
    features = model.encode_frames(frames)  # FrameFeatures of T frames, no gradient; index it
                                            # (features[2:5]), FrameFeatures.cat([...]), .to(...),
                                            # .as_tensors() / from_tensors() to cache on disk
    text = TextBatch.of(embeddings)         # from objects with .embeddings (N, D), .pooled (D,),
                                            # .motion (N,): pads; or TextBatch(tokens (E, N, D),
                                            # padding (E, N) True = padding, pooled (E, D),
                                            # motion (E, N) bool)

One video, E sentences over the same T frames::

    out = model.clip(features, text, relevant)              # relevant: bool (E, T)
    out = model.clip(features, text, relevant, mdp=False)   # every frame guided and written

A training batch of E clips of T frames, one sentence each: concatenate the features of all clips
and give the indices of each clip's frames::

    features = FrameFeatures.cat(list_of_E_clips)           # E * T frames
    frames = torch.arange(E * T).view(E, T)
    out = model.clip(features, text, relevant, frames=frames, times=times)

``times`` (E, T) are the clip's frame numbers in its video (default 0 .. T-1); frames are in
ascending order of time. An expression without a relevant frame reads an empty bank: all of its
frames take the language-agnostic path without memory.

``out`` is a ``ClipOutput``: ``mask_logits`` (E, T, s, s) raw decoder logits of the chosen
candidate, ungated; ``candidates`` (E, T, M, s, s); ``iou`` (E, T, M) predicted IoU in 0..1;
``object_score_logits`` (E, T); ``relevance_logits`` (E, T); ``heatmap_logits`` (E, T, h, h);
``guided`` (E, T) bool, the path that each frame took; ``masks()`` bool (E, T, s, s), gated by
the object score.

Losses::

    from stages.core.model.losses import clip_losses

    terms = clip_losses(out, targets, relevant, LossConfig())
    # targets: bool or float (E, T, H', W') of any size; relevant=None leaves out the relevance
    # term (a baseline must not use moment labels). Returns named scalars: "mask", "dice",
    # "iou", "object", "relevance", "heatmap", unweighted, and "total", the weighted sum.

Relevance alone: ``model.relevance(features, text, times=None)`` -> logits (E, T).

Class-agnostic SAM 2 tracking (pretraining, parity)::

    from stages.core.model.backbones.prompted import track_prompted

    out = track_prompted(backbone, features, {0: prompts})     # see its docstring

Checkpoints::

    from stages.core.model.checkpoint import load_checkpoint, save_checkpoint

    save_checkpoint(folder, model, encoder="hash-256")      # model.safetensors, config.json
    model = load_checkpoint(folder)                         # strict
"""
