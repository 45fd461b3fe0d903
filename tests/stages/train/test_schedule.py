"""Learning rates, freezing and averaged weights."""

from itertools import pairwise

import pytest
import torch
from torch.nn import Parameter
from train_mini import small

from schemas.errors import ConfigError
from stages.train.schedule import (
    AveragedWeights,
    freeze_parts,
    make_optimizer,
    schedule_factor,
    set_rates,
)


def groups() -> dict[str, dict[str, Parameter]]:
    return {
        "new": {
            "adapter.weight": Parameter(torch.ones(2, 2)),
            "adapter.bias": Parameter(torch.ones(2)),
        },
        "pretrained": {"sam.memory.weight": Parameter(torch.ones(2, 2))},
        "frozen": {"sam.encoder.weight": Parameter(torch.ones(2, 2), requires_grad=False)},
    }


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    factors = [schedule_factor(step, warmup=10, steps=100) for step in range(101)]
    assert factors[:3] == pytest.approx([1 / 11, 2 / 11, 3 / 11])
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)
    assert all(a < b for a, b in pairwise(factors[:11]))
    assert all(a > b for a, b in pairwise(factors[10:]))


def test_a_run_shorter_than_its_warm_up_still_moves() -> None:
    assert all(0 < schedule_factor(step, warmup=10, steps=3) < 1 for step in range(3))


def test_new_and_pretrained_weights_have_their_own_rates() -> None:
    optimizer = make_optimizer(groups(), small(lr=0.1, lr_new=0.2, weight_decay=0.5))
    set_rates(optimizer, 0.5)
    found = [(g["lr"], g["weight_decay"], len(g["params"])) for g in optimizer.param_groups]
    assert found == [(0.1, 0.5, 1), (0.1, 0.0, 1), (0.05, 0.5, 1)]


def test_frozen_parts_leave_the_optimizer() -> None:
    own = groups()
    freeze_parts(own, ["sam.memory"])
    assert len(make_optimizer(own, small()).param_groups) == 2
    with pytest.raises(ConfigError, match="every part of the model is frozen"):
        freeze_parts(own, ["adapter"])


def test_a_prefix_is_whole_names() -> None:
    with pytest.raises(ConfigError, match=r"name or prefix sam\.mem; .*adapter, sam"):
        freeze_parts(groups(), ["sam.mem"])


def test_the_average_moves_by_its_decay_and_swaps_both_ways() -> None:
    trained = {"w": Parameter(torch.zeros(2))}
    average = AveragedWeights.start(0.9, trained)
    with torch.no_grad():
        trained["w"].fill_(1.0)
    average.update(trained)
    assert average.values["w"].tolist() == pytest.approx([0.1, 0.1])
    average.swap(trained)
    assert trained["w"].tolist() == pytest.approx([0.1, 0.1])
    average.swap(trained)
    assert trained["w"].tolist() == [1.0, 1.0]


def test_a_warm_up_that_never_ends_is_known() -> None:
    assert small(steps=2, adapter_steps=0, warmup=100).warms_up_only
    assert small(steps=200, adapter_steps=50, warmup=100).warms_up_only
    assert not small(steps=200, adapter_steps=0, warmup=100).warms_up_only
