# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Words in, the vocabulary that the Semantic Distiller compares its queries with out (SeeClear, eq. 8 and 9)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seeclear.models import SemanticDistiller

PROMPT_TEMPLATE = "a photo of a {}"
"""What the text encoder reads of a name, as in CLIP's zero-shot classification."""


def embed_vocabulary(
    names: Sequence[str],
    distiller: SemanticDistiller,
    text_encoder: Any = None,
    tokenizer: Any = None,
    template: str = PROMPT_TEMPLATE,
) -> Tensor:
    """F_txt (V, text_dim) of `names`, the `vocabulary_embeddings` of the distiller's call.

    Names that are stored with the distiller need no text encoder. Others need a distiller with an open vocabulary and
    the text encoder whose space it was trained in.

    Args:
        names: V different names.
        distiller: whose vocabulary it is.
        text_encoder: a text model of transformers with `text_embeds`, such as `CLIPTextModelWithProjection`.
        tokenizer: its tokenizer.
        template: what is made of a name before it is embedded; `{}` stands for the name.

    Raises:
        ValueError: no names or one given twice, a name that this distiller can't know, or a text encoder of another
            width.
    """
    stored = set(distiller.config.vocabulary)
    new = [name for name in names if name not in stored]
    well_formed = not isinstance(names, str) and len(set(names)) == len(names)
    able = distiller.config.open_vocabulary and text_encoder is not None and tokenizer is not None
    if not new or not well_formed or not able:
        return distiller.embed_vocabulary(names)  # or it says what is wrong
    embedded = dict(zip(new, embed_text(new, text_encoder, tokenizer, template), strict=True))
    if embedded[new[0]].shape[0] != distiller.config.text_dim:
        raise ValueError(
            f"`text_encoder` gives {embedded[new[0]].shape[0]} numbers a name; "
            f"this distiller needs {distiller.config.text_dim}"
        )
    known = [name for name in names if name in stored]
    if known:
        embedded |= zip(known, distiller.embed_vocabulary(known).to(embedded[new[0]]), strict=True)
    return torch.stack([embedded[name] for name in names])


@torch.no_grad()
def embed_text(names: Sequence[str], text_encoder: Any, tokenizer: Any, template: str = PROMPT_TEMPLATE) -> Tensor:
    """The text encoder's embeddings of `names`, of length 1: (V, text_dim), float32.

    To store them with a distiller: `distiller.set_vocabulary(names, embed_text(names, text_encoder, tokenizer))`.

    Raises:
        ValueError: a name that is longer than the text encoder reads.
    """
    encoded = tokenizer([template.format(name) for name in names], padding=True, return_tensors="pt")
    longest = text_encoder.config.max_position_embeddings
    if encoded.input_ids.shape[1] > longest:
        length, name = max(zip(encoded.attention_mask.sum(dim=1).tolist(), names, strict=True))
        raise ValueError(f"`vocabulary` has {name!r} of {length} tokens; the text encoder reads at most {longest}")
    encoded = encoded.to(text_encoder.device)
    output = text_encoder(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask)
    return F.normalize(output.text_embeds.float(), dim=-1)
