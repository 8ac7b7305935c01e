"""mmpretrain's transformer layer with a key mask, which the layer itself does not take."""

import torch.nn.functional as F
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor


def safe_key_mask(key_mask: Tensor) -> Tensor:
    """Open every key where a sample has none, so that its softmax is finite.

    Args:
        key_mask: (B, L) bool, true at keys that may be attended to.

    Returns:
        (B, L) bool with at least one true in every row.
    """
    return key_mask | ~key_mask.any(dim=1, keepdim=True)


def encoder_layer(
    layer: TransformerEncoderLayer, tokens: Tensor, key_mask: Tensor | None = None
) -> Tensor:
    """Run one pre-norm transformer layer, optionally hiding keys.

    Args:
        layer: mmpretrain's layer, with its own parameters and drop rates.
        tokens: (B, L, D).
        key_mask: (B, L) bool, true at keys that may be attended to; all if None.

    Returns:
        (B, L, D).
    """
    if key_mask is None:
        return layer(tokens)
    attention = layer.attn
    batch, length, width = tokens.shape
    qkv = attention.qkv(layer.ln1(tokens))
    qkv = qkv.view(batch, length, 3, attention.num_heads, attention.head_dims)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    attended = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=key_mask[:, None, None, :],
        dropout_p=attention.attn_drop if layer.training else 0.0,
    )
    attended = attention.proj(attended.transpose(1, 2).reshape(batch, length, width))
    tokens = tokens + attention.out_drop(attention.gamma1(attention.proj_drop(attended)))
    return layer.ffn(layer.ln2(tokens), identity=tokens)
