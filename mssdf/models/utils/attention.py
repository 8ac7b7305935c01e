"""mmpretrain's transformer layer with key masks, windows and activation checkpointing."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import MultiheadAttention
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mssdf.errors import ConfigError, Words

from .window_attention import merge_windows, partition_windows


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

    Args:
        norm: normalization with its parameters.
        tokens: (..., D).

    Returns:
        (..., D) normed tokens.
    """
    if not isinstance(norm, nn.LayerNorm) or norm.weight.dtype == tokens.dtype:
        return norm(tokens)
    weight, bias = norm.weight.to(tokens.dtype), norm.bias.to(tokens.dtype)
    return F.layer_norm(tokens, norm.normalized_shape, weight, bias, norm.eps)


def attend(attention: MultiheadAttention, tokens: Tensor, key_mask: Tensor | None) -> Tensor:
    """Gather the values of each head, without the projection that follows.

    Args:
        attention: attention with its parameters and drop rate.
        tokens: (B, L, D) normalized tokens.
        key_mask: (B, L) bool, true at keys that may be attended to; all if None.

    Returns:
        (B, L, D), the heads side by side.
    """
    batch, length, width = tokens.shape
    qkv = attention.qkv(tokens)
    qkv = qkv.view(batch, length, 3, attention.num_heads, attention.head_dims)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)

    attended = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=None if key_mask is None else key_mask[:, None, None, :],
        dropout_p=attention.attn_drop if attention.training else 0.0,
    )
    return attended.transpose(1, 2).reshape(batch, length, width)


def attend_in_windows(
    attention: MultiheadAttention, tokens: Tensor, grid: tuple[int, int], side: int
) -> Tensor:
    """Gather the values of each head within windows of patches (arXiv 2203.16527).

    Tokens in front of the patches (cls) attend to every window by itself and become the mean over
    them. With one window, and no padding, it is :func:`attend`.

    Args:
        attention: attention with its parameters and drop rate.
        tokens: (B, E + N, D) normalized tokens, E of them in front of the patches.
        grid: rows and columns of patches, N in all.
        side: side of a window in patches.

    Returns:
        (B, E + N, D), the heads side by side.
    """
    num_extra = tokens.shape[1] - grid[0] * grid[1]
    windows, keep = partition_windows(tokens[:, num_extra:], grid, side)
    batch, count, _, width = windows.shape
    extra = tokens[:, :num_extra].unsqueeze(1).expand(-1, count, -1, -1)
    sequence = torch.cat([extra, windows], dim=2).flatten(0, 1)  # (B * W, E + side * side, D)
    mask = None
    if keep is not None:
        mask = F.pad(keep, (num_extra, 0), value=True).repeat(batch, 1)

    attended = attend(attention, sequence, mask).view(batch, count, -1, width)
    patches = merge_windows(attended[:, :, num_extra:].contiguous(), grid, side)
    return torch.cat([attended[:, :, :num_extra].mean(dim=1), patches], dim=1)


class EncoderLayer(TransformerEncoderLayer):
    """A pre-norm transformer layer of mmpretrain's with key masks, windows and checkpointing.

    All of them are part of its ``forward``, as sharding and compiling act on a module's call.

    Args:
        layer: mmpretrain's layer, whose parts become this one's: parameters, their names and drop
            rates stay as they are.

    Attributes:
        checkpoint_activations: whether, in training, the layer is computed again in the backward
            pass instead of keeping what it computes.
        window_size: side, in patches, of the windows that attention stays in; 0: no windows.
    """

    def __init__(self, layer: TransformerEncoderLayer) -> None:
        BaseModule.__init__(self, layer.init_cfg)  # the parts are there: none is built again
        self.embed_dims = layer.embed_dims
        for name, part in layer.named_children():
            self.add_module(name, part)
        self.training = layer.training
        self.checkpoint_activations = False
        self.window_size = 0

    def forward(
        self,
        tokens: Tensor,
        key_mask: Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Run the layer.

        Args:
            tokens: (B, L, D).
            key_mask: (B, L) bool, true at keys that may be attended to; all if None.
            grid: rows and columns of patches, the last of the L tokens, for a layer with windows.

        Returns:
            (B, L, D).

        Raises:
            ValueError: for a layer with windows that is given a key mask or no grid.
        """
        if self.checkpoint_activations and self.training and torch.is_grad_enabled():
            return checkpoint(self._run, tokens, key_mask, grid, use_reentrant=False)
        return self._run(tokens, key_mask, grid)

    def _run(self, tokens: Tensor, key_mask: Tensor | None, grid: tuple[int, int] | None) -> Tensor:
        normed = normalize(self.ln1, tokens)
        if not self.window_size:
            attended = attend(self.attn, normed, key_mask)
        elif grid is None or key_mask is not None:
            found = 'no grid' if grid is None else 'a key mask'
            raise ConfigError('window_size', 'a grid and no key mask with it', Words(found))
        else:
            attended = attend_in_windows(self.attn, normed, grid, self.window_size)

        attended = self.attn.gamma1(self.attn.proj_drop(self.attn.proj(attended)))
        tokens = tokens + self.attn.out_drop(attended)
        return self.ffn(normalize(self.ln2, tokens), identity=tokens)


def checkpoint_layers(model: nn.Module, wanted: bool = True) -> None:
    """Switch activation checkpointing on or off.

    Args:
        model: model of which every :class:`EncoderLayer` is switched.
        wanted: whether layers are computed again in the backward pass.
    """
    for module in model.modules():
        if isinstance(module, EncoderLayer):
            module.checkpoint_activations = wanted
