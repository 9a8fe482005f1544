# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The losses of the Semantic Distiller: tokens are matched with the instances of the clip, and together they explain
the features of a frozen teacher.

Shapes: B clips, F frames, Q tokens, N annotated instances, h x w the grid of the masks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seeclear.models import SemanticDistiller
from seeclear.models.matching import match
from seeclear.models.mobile_segmenter import LAST_LAYERS, MobileBackbone

WEIGHTS = {"dice": 3.0, "mask": 2.0, "label": 1.0, "teacher": 1.0}
INSIDE_WEIGHT = 2.0
NO_OBJECT_WEIGHT = 0.1
"""Weight of the tokens that match nothing: what they cover may well be an object, only not an annotated one."""


def dice_cost(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - Dice of every token with every instance: `logits` (Q, P) and `masks` (N, P) in [0, 1] -> (Q, N)."""
    inside = logits.sigmoid()
    overlap = inside @ masks.T
    return 1 - (2 * overlap + 1) / (inside.sum(dim=1)[:, None] + masks.sum(dim=1)[None] + 1)


def cross_entropy_cost(logits: Tensor, masks: Tensor) -> Tensor:
    """The mean binary cross-entropy of every token with every instance: (Q, P) and (N, P) -> (Q, N).

    Pixels inside count `INSIDE_WEIGHT` times: instances are small, and a token that doubts leaves pixels out.
    """
    outside, inside = F.softplus(logits), F.softplus(-logits)
    total = outside.sum(dim=1)[:, None] - outside @ masks.T + INSIDE_WEIGHT * inside @ masks.T
    return total / logits.shape[1]


def mask_losses(logits: Tensor, masks: Tensor, label_cost: Tensor | None = None) -> tuple[Tensor, Tensor, list[int]]:
    """Matches tokens with instances over all frames of one clip: a token keeps its instance through the clip.

    Args:
        logits: (F, Q, h, w).
        masks: (N, F, h, w) in [0, 1].
        label_cost: (Q, N), added to what the matching minimises.

    A single instance is matched with a second token as well, at half the weight: where one frame allows several
    readings, tokens may hold several. Of several instances each has one token, so that tokens learn to part them.

    Returns:
        Dice and cross-entropy, each the weighted mean over the matched pairs, and the first token of each instance.
    """
    flat_logits, flat_masks = logits.transpose(0, 1).flatten(1), masks.flatten(1)
    dice, entropy = dice_cost(flat_logits, flat_masks), cross_entropy_cost(flat_logits, flat_masks)
    cost = WEIGHTS["dice"] * dice + WEIGHTS["mask"] * entropy
    cost = (cost if label_cost is None else cost + label_cost).detach()
    rows = torch.arange(len(masks))
    tokens = match(cost)
    if len(masks) > 1 or len(cost) < 2:
        return dice[tokens, rows].mean(), entropy[tokens, rows].mean(), tokens
    cost[tokens] = torch.finfo(cost.dtype).max / len(cost)
    second = match(cost)
    both = ((2 * loss[tokens, rows] + loss[second, rows]).mean() / 3 for loss in (dice, entropy))
    return next(both), next(both), tokens


def label_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of `logits` (n, V + 1) with the classes `wanted` (n,), the last of which is "no object" and counts
    `NO_OBJECT_WEIGHT`; -1 is any but that one.
    """
    log_probabilities = logits.log_softmax(dim=-1)
    any_object = log_probabilities[:, :-1].logsumexp(dim=-1, keepdim=True)
    chosen = torch.cat([log_probabilities, any_object], dim=-1)[torch.arange(len(wanted)), wanted]
    weights = torch.where(wanted == logits.shape[-1] - 1, NO_OBJECT_WEIGHT, 1.0).to(logits)
    return -(weights * chosen).sum() / weights.sum()


class Teacher(nn.Module):
    """ImageNet features of a frozen MobileNetV2, and the layer that reads them off the tokens.

    Every pixel is shared among the tokens by a softmax over their masks; what the tokens say, so shared, is to equal
    the teacher's features (normalised over channels). So tokens without an annotated instance divide the rest of the
    frame among them by what it shows.
    """

    LEVEL = 2  # stride 16
    CHANNELS = 96

    def __init__(self, backbone: MobileBackbone, token_dim: int) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        self.backbone.layer = self.backbone.layer[: LAST_LAYERS[self.LEVEL] + 1]
        self.read = nn.Sequential(nn.Linear(token_dim, 128), nn.ReLU(), nn.Linear(128, self.CHANNELS))

    def train(self, mode: bool = True) -> Teacher:
        """The backbone stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, pixels: Tensor, tokens: Tensor, masks: Tensor) -> Tensor:
        """`pixels` (B, F, 3, H, W) normalised, `tokens` (B, F, Q, D), `masks` (B, F, Q, h, w) logits -> loss ()."""
        with torch.no_grad():
            target = self.backbone(pixels.flatten(0, 1))[self.LEVEL]
            target = F.layer_norm(target.permute(0, 2, 3, 1), (self.CHANNELS,))  # (B*F, h', w', C)
        size = (target.shape[1], target.shape[2])
        shares = F.adaptive_avg_pool2d(masks.flatten(0, 1), size).softmax(dim=1)
        said = torch.einsum("nqhw,nqc->nhwc", shares, self.read(tokens.flatten(0, 1)))
        return F.mse_loss(said, target)


def distillation_losses(
    distiller: SemanticDistiller,
    teacher: Teacher | None,
    low_res: Tensor,
    clean: Tensor,
    masks: Tensor,
    labels: Tensor,
    counts: Tensor,
) -> dict[str, Tensor]:
    """The losses of a batch, unweighted, by name; frame-wise and clip-wise tokens alike.

    Args:
        distiller: in training.
        teacher: None leaves its loss out.
        low_res: degraded LR frames (B, F, 3, H, W) in [-1, 1].
        clean: the same, not degraded.
        masks: (B, N_max, F, H, W) in [0, 1].
        labels: int64 (B, N_max); -1 where it is not known what the instance is.
        counts: int64 (B,), how many instances of each clip are used.
    """
    segmented = distiller.segment(low_res)
    tokens = distiller.token_projection(segmented.queries)
    features = distiller.project_features(segmented)
    clip_tokens, clip_masks = distiller.follow(tokens, features)
    frame_layers, clip_layers = list(segmented.masks), [clip_masks]
    change = distiller.motion_change(features, low_res)
    if change is not None:
        by_motion = distiller.masks_by_motion(tokens, clip_tokens, change)
        frame_layers.append(segmented.masks[-1] + by_motion[0])
        clip_layers.append(clip_masks + by_motion[1])
    class_logits = distiller.class_logits(segmented.queries)  # (B, F, Q, V + 1)
    log_probabilities = class_logits.log_softmax(dim=-1).mean(dim=1)
    none = class_logits.shape[-1] - 1

    size = segmented.masks[-1].shape[-2:]
    small = F.interpolate(masks.flatten(0, 1), size=size, mode="bilinear", align_corners=False, antialias=True)
    small = small.unflatten(0, masks.shape[:2]).clamp(0, 1)
    dice, entropy, classes = [], [], []
    for i, count in enumerate(counts.tolist()):
        wanted = torch.full(class_logits.shape[1:3], none, device=low_res.device)  # (F, Q)
        if count:
            instances = small[i, :count]
            known = labels[i, :count]
            label_cost = -WEIGHTS["label"] * (log_probabilities[i][:, known.clamp(min=0)] * (known >= 0))
            for layer in frame_layers:
                layer_dice, layer_entropy, chosen = mask_losses(layer[i], instances, label_cost)
                dice.append(layer_dice)
                entropy.append(layer_entropy)
            wanted[:, chosen] = known  # those of the last layer
            for layer in clip_layers:
                clip_dice, clip_entropy, _ = mask_losses(layer[i], instances)
                dice.append(2 * clip_dice)
                entropy.append(2 * clip_entropy)
        classes.append(label_loss(class_logits[i].flatten(0, 1), wanted.flatten()))
    zero = clip_masks.sum() * 0
    losses = {
        "dice": torch.stack(dice).sum() / len(counts) if dice else zero,
        "mask": torch.stack(entropy).sum() / len(counts) if entropy else zero,
        "label": torch.stack(classes).mean(),
    }
    if teacher is not None:
        pixels = distiller.preprocess(clean[:, :1])  # one frame of each clip says enough
        first = (tokens[:, :1], segmented.masks[-1][:, :1]), (clip_tokens[:, None], clip_masks[:, :1])
        losses["teacher"] = teacher(pixels, *first[0]) + teacher(pixels, *first[1])
    return losses


def total_loss(losses: dict[str, Tensor]) -> Tensor:
    """The weighted sum of the losses (`WEIGHTS`)."""
    return torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()
