# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
from itertools import permutations

import pytest
import torch

from seeclear.models.matching import match


def test_worked_by_hand() -> None:
    """The greedy choice, 1 for the first instance, would leave 10 for the second: 11 instead of 2 + 3."""
    assert match(torch.tensor([[1.0, 3.0], [2.0, 10.0]])) == [1, 0]
    assert match(torch.tensor([[5.0], [-1.0], [3.0]])) == [1]
    assert match(torch.zeros(4, 0)) == []


@pytest.mark.parametrize(("tokens", "instances"), [(1, 1), (4, 4), (6, 3), (7, 5)])
def test_is_the_best_of_all_assignments(tokens: int, instances: int) -> None:
    generator = torch.Generator().manual_seed(tokens)
    orders = torch.tensor(list(permutations(range(tokens), instances)))
    columns = torch.arange(instances)
    for _ in range(20):
        cost = torch.randn(tokens, instances, generator=generator)
        chosen = match(cost)
        assert len(set(chosen)) == instances
        least = cost[orders, columns].sum(dim=1).min()
        torch.testing.assert_close(cost[chosen, columns].sum(), least)


def test_many_tokens() -> None:
    """A hundred tokens in another order, each a little changed, find themselves."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(100, generator=generator)
    points = torch.rand(100, 8, generator=generator)
    moved = points[order] + 0.01 * torch.rand(100, 8, generator=generator)
    assert match(torch.cdist(points, moved)) == order.tolist()


@pytest.mark.parametrize("shape", [(2, 3), (4,)])
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`cost`"):
        match(torch.zeros(shape))
