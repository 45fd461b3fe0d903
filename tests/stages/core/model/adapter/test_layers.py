"""Attention of the adapter."""

from __future__ import annotations

import torch

from stages.core.model.adapter.layers import Attention


def test_reading_few_words_folds_the_projections() -> None:
    """The folded arithmetic of inference against the plain one, padding included."""
    torch.manual_seed(0)
    attention = Attention(16, 2)
    x, words = torch.randn(3, 9, 16), torch.randn(3, 5, 16)
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3, [True] + [False] * 4])
    with torch.no_grad():
        plain = attention.train()(x, words, mask=mask)
        folded = attention.eval()(x, words, mask=mask)
        # With more words than channels there is nothing to gain: the same path in both modes.
        many, all_there = torch.randn(3, 40, 16), torch.ones(3, 40, dtype=torch.bool)
        same = attention(x, many, mask=all_there)
        assert torch.equal(same, attention.train()(x, many, mask=all_there))
    assert not torch.equal(folded, plain)
    assert torch.allclose(folded, plain, atol=1e-6)
