"""Figures of the features and terms in training: collapse, position, pull of each term."""

import torch
from torch import Tensor, nn

from mssdf.errors import ConfigError, Words
from mssdf.models.utils.collapse import effective_rank, feature_std
from mssdf.structures import MaskedBatch

from .forward import Encoded, Forward

NUM_TOKENS = 1024


def content(tokens: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Take from each token what all windows have at its location: what is left is content.

    A collapsed encoder still tells positions apart; this does not count them.

    Args:
        tokens: tokens (B, N, D), anything where ``keep`` is false.
        keep: mask (B, N), true where there is a token.

    Returns:
        Residuals (B, N, D), and a mask (B, N), true where at least two windows have the location.
        For a single window, the residuals from the mean of its tokens.
    """
    weight = keep.unsqueeze(-1).float()
    axis = 0 if len(tokens) > 1 else 1
    count = weight.sum(dim=axis, keepdim=True)
    mean = (tokens.float() * weight).sum(dim=axis, keepdim=True) / count.clamp(min=1)
    return (tokens.float() - mean) * weight, keep & (count > 1).squeeze(-1)


def position_share(tokens: Tensor, keep: Tensor) -> Tensor:
    """Estimate the share of the tokens' variance that their location alone explains, 0...1.

    It is the adjusted coefficient of determination (Ezekiel 1930): the mean token of a location
    over few windows differs from the others' by chance, which does not count.

    Args:
        tokens: tokens (B, N, D) of one modality, anything where ``keep`` is false.
        keep: mask (B, N), true where there is a token.

    Returns:
        A scalar; 0 where no location is seen twice.
    """
    residual, counted = content(tokens, keep)
    if len(tokens) < 2:
        return residual.new_zeros(())

    weight = counted.unsqueeze(-1).float()
    count = weight.sum()
    mean = (tokens.float() * weight).sum(dim=(0, 1)) / count.clamp(min=1)
    centered = (tokens.float() - mean) * weight

    freedom = count - counted.any(dim=0).sum()  # of what is left within the locations
    within = (residual * weight).square().sum() / freedom.clamp(min=1)
    total = centered.square().sum() / (count - 1).clamp(min=1)
    share = 1 - within / total.clamp(min=1e-12)
    return torch.where(freedom > 0, share, 0.0).clamp(0, 1)


def _spread(tokens: list[Tensor], keep: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Measure standard deviation and effective rank over ``NUM_TOKENS`` tokens, evenly taken."""
    parts = [content(values, mask) for values, mask in zip(tokens, keep, strict=True)]
    flat = torch.cat([values[mask] for values, mask in parts])
    if len(flat) < 2:
        zero = flat.new_zeros(())
        return zero, zero
    flat = flat[torch.linspace(0, len(flat) - 1, min(NUM_TOKENS, len(flat))).long()]
    return feature_std(flat), effective_rank(flat)


@torch.no_grad()
def feature_monitor(tokens: list[Tensor], keep: list[Tensor], name: str) -> dict[str, Tensor]:
    """Measure the tokens that an encoder makes of a batch.

    Args:
        tokens: tokens (B, N, D) of each modality on the grid of patches.
        keep: mask (B, N) of each modality, true where there is a token.
        name: ending of the keys, ``'student'`` or ``'teacher'``.

    Returns:
        ``std_*``, ``rank_*``, ``position_*`` and ``window_*``: the shares of the variance that the
        location, and that the window alone explains, as means over modalities.
    """
    std, rank = _spread(tokens, keep)
    pairs = list(zip(tokens, keep, strict=True))
    position = [position_share(*pair) for pair in pairs]

    # a window is to its locations what a location is to the windows
    window = [position_share(values.transpose(0, 1), mask.T) for values, mask in pairs]
    return {
        f'std_{name}': std,
        f'rank_{name}': rank,
        f'position_{name}': torch.stack(position).mean(),
        f'window_{name}': torch.stack(window).mean(),
    }


def monitor_features(forward: Forward, batch: MaskedBatch) -> dict[str, Tensor]:
    """Measure the student's visible tokens, and the teacher's where it has seen the batch."""
    num_patches = batch.score.shape[1]
    encoded = forward.encoded
    tokens = [one.on_grid(one.tokens.detach(), num_patches) for one in encoded.values()]
    log = feature_monitor(tokens, [~batch.masks[name] for name in encoded], 'student')

    teacher = forward.teacher_features
    if teacher:
        keep = [batch.patch_valid[name] for name in teacher]
        log |= feature_monitor(list(teacher.values()), keep, 'teacher')
    return log


def count_visible(batch: MaskedBatch) -> dict[str, Tensor]:
    """Count the visible patches of each modality, as means over the windows."""
    return {
        f'visible_{name}': (~batch.masks[name]).sum(dim=1).float().mean().detach()
        for name in batch.images
    }


def gradient_norms(terms: dict[str, Tensor], features: list[Tensor]) -> dict[str, Tensor]:
    """Measure how hard each term pulls at the encoder.

    Args:
        terms: weighted loss terms, scalars; their graph is kept.
        features: outputs of the encoder that the terms look at, with gradient.

    Returns:
        ``grad_*`` of each term: the norm of its gradient at all ``features`` together, 0 for one
        that does not reach them.
    """
    norms = {}
    for name, term in terms.items():
        norm = features[0].new_zeros((), dtype=torch.float32)
        if term.requires_grad:
            found = torch.autograd.grad(term, features, retain_graph=True, allow_unused=True)
            squares = [one.float().square().sum() for one in found if one is not None]
            norm = torch.stack(squares).sum().sqrt() if squares else norm
        norms[f'grad_{name}'] = norm.detach()
    return norms


def encoder_gradients(
    model: nn.Module, weighted: dict[str, Tensor], forward: Forward
) -> dict[str, Tensor]:
    """Measure the gradient of each term at the encoder's outputs for both views.

    Args:
        model: the whole model.
        weighted: weighted loss terms, scalars.
        forward: forward pass that they come from.

    Raises:
        ValueError: if the model is sharded or compiled, whose graph can be used once only.
    """
    sharded = any(hasattr(parameter, 'full_tensor') for parameter in model.parameters())
    compiled = any(
        getattr(module, '_compiled_call_impl', None) is not None for module in model.modules()
    )
    if sharded or compiled:
        raise ConfigError(
            'monitor_gradients',
            'a model that is neither sharded nor compiled',
            Words('a sharded one' if sharded else 'a compiled one'),
            'set it to False',
        )

    outputs: list[Encoded] = [*forward.encoded.values(), *forward.second.values()]
    features = [value for one in outputs for value in (one.tokens, one.cls_token)]
    return gradient_norms(weighted, features)
