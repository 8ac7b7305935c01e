"""mmpretrain's transformer layer with a key mask, which the layer itself does not take."""

import torch
import torch.nn.functional as F
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def safe_key_mask(key_mask: Tensor) -> Tensor:
    """Open every key where a sample has none, so that its softmax is finite.

    Args:
        key_mask: (B, L) bool, true at keys that may be attended to.

    Returns:
        (B, L) bool with at least one true in every row.
    """
    return key_mask | ~key_mask.any(dim=1, keepdim=True)


def normalize(norm: nn.Module, tokens: Tensor) -> Tensor:
    """Run a layer norm in the tokens' number type, whatever its parameters are kept in.

    Sharded training gathers parameters in half precision. On a GPU autocast does the same; on a
    CPU it does not.
    """
    if not isinstance(norm, nn.LayerNorm) or norm.weight.dtype == tokens.dtype:
        return norm(tokens)
    weight, bias = norm.weight.to(tokens.dtype), norm.bias.to(tokens.dtype)
    return F.layer_norm(tokens, norm.normalized_shape, weight, bias, norm.eps)


class EncoderLayer(TransformerEncoderLayer):
    """mmpretrain's pre-norm transformer layer, with a key mask and activation checkpointing.

    Both are part of its ``forward``, as sharding and compiling act on a module's call.

    Attributes:
        checkpoint_activations: in training, recompute the layer in the backward pass instead of
            keeping what it computes.
    """

    checkpoint_activations = False

    def forward(self, tokens: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Run the layer.

        Args:
            tokens: (B, L, D).
            key_mask: (B, L) bool, true at keys that may be attended to; all if None.

        Returns:
            (B, L, D).
        """
        if self.checkpoint_activations and self.training and torch.is_grad_enabled():
            return checkpoint(self._run, tokens, key_mask, use_reentrant=False)
        return self._run(tokens, key_mask)

    def _run(self, tokens: Tensor, key_mask: Tensor | None) -> Tensor:
        normed = normalize(self.ln1, tokens)
        if key_mask is None:
            tokens = tokens + self.attn(normed)
            return self.ffn(normalize(self.ln2, tokens), identity=tokens)
        attention = self.attn
        batch, length, width = tokens.shape
        qkv = attention.qkv(normed)
        qkv = qkv.view(batch, length, 3, attention.num_heads, attention.head_dims)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=key_mask[:, None, None, :],
            dropout_p=attention.attn_drop if self.training else 0.0,
        )
        attended = attention.proj(attended.transpose(1, 2).reshape(batch, length, width))
        tokens = tokens + attention.out_drop(attention.gamma1(attention.proj_drop(attended)))
        return self.ffn(normalize(self.ln2, tokens), identity=tokens)


def take_key_masks(layers: nn.ModuleList) -> None:
    """Let the layers that mmpretrain has built take key masks; their weights stay the same."""
    for layer in layers:
        layer.__class__ = EncoderLayer


def checkpoint_layers(model: nn.Module, wanted: bool = True) -> None:
    """Switch activation checkpointing of all :class:`EncoderLayer` in a model."""
    for module in model.modules():
        if isinstance(module, EncoderLayer):
            module.checkpoint_activations = wanted
