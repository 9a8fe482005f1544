# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Optimal assignment of tokens to instances, and of the tokens of one clip to those of the next."""

import numpy as np
from torch import Tensor


def match(cost: Tensor) -> list[int]:
    """A token for each instance, no token twice, such that the sum of their costs is least.

    The Hungarian method: instances are added one by one, each by the cheapest chain of exchanges, found as a shortest
    path over the costs less what tokens and instances are worth so far.

    Args:
        cost: (Q, N) of every token for every instance, N <= Q.

    Returns:
        The tokens of the N instances.

    Raises:
        ValueError: another shape, or more instances than tokens.
    """
    if cost.ndim != 2 or cost.shape[1] > cost.shape[0]:
        raise ValueError(f"`cost` is {tuple(cost.shape)}; it must be (tokens, instances), and no more of the latter")
    table = cost.detach().double().cpu().numpy().T  # (N, Q)
    num_instances, num_tokens = table.shape
    instance_worth, token_worth = np.zeros(num_instances), np.zeros(num_tokens)
    owner = np.full(num_tokens, -1)  # the instance that has each token
    for newcomer in range(num_instances):
        distance = table[newcomer] - token_worth  # of the cheapest chain that ends at each token
        before = np.full(num_tokens, -1)  # the token before it in that chain
        settled = np.zeros(num_tokens, dtype=bool)
        while True:
            token = int(np.where(settled, np.inf, distance).argmin())
            settled[token] = True
            if owner[token] < 0:
                break
            onward = distance[token] + table[owner[token]] - instance_worth[owner[token]] - token_worth
            shorter = ~settled & (onward < distance)
            distance[shorter], before[shorter] = onward[shorter], token
        total = distance[token]
        instance_worth[newcomer] = total
        taken = settled & (owner >= 0)
        instance_worth[owner[taken]] += total - distance[taken]
        token_worth[taken] -= total - distance[taken]
        while before[token] >= 0:  # everyone in the chain moves on by one
            owner[token], token = owner[before[token]], int(before[token])
        owner[token] = newcomer
    tokens = [-1] * num_instances
    for token, instance in enumerate(owner.tolist()):
        if instance >= 0:
            tokens[instance] = token
    return tokens
