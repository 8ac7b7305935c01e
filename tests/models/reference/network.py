"""Sections 4 and 5: encoder, decoders and heads, from the arrays of a state dictionary."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import erf

from .windows import patches_of


@dataclass
class Network:
    """Weights and settings of a small MSSDF.

    Attributes:
        weights: arrays by the keys of the model's state dictionary.
        modalities: names in alphabetical order, as the heads count them.
        primary: modality of the backbone's own patch embedding.
        patch_size: side of a patch in pixels.
        side: patches along one side of the window that the backbone's positions are made for.
        depths: layers of the encoder and of the two decoders.
        heads: attention heads, likewise.
        shared: composites of a shared patch embedding by modality; None for one per modality.
        cls_path: ``'detached'``, ``'added'``, ``'token'`` or ``'none'``.
        filled, joint, queries: settings of the decoders.
        average_layers, target_norm: settings of the teacher.
    """

    weights: dict[str, NDArray]
    modalities: tuple[str, ...]
    primary: str
    patch_size: int
    side: int
    depths: dict[str, int]
    heads: dict[str, int]
    shared: dict[str, list[int]] | None = None
    cls_path: str = 'detached'
    filled: bool = False
    joint: bool = False
    queries: str = 'all'
    average_layers: int = 1
    target_norm: str | None = 'token'

    def linear(self, key: str, values: NDArray) -> NDArray:
        bias: Any = self.weights.get(f'{key}.bias', 0.0)
        return values @ self.weights[f'{key}.weight'].T + bias

    def norm(self, key: str, values: NDArray) -> NDArray:
        scaled = standardized(values, 1e-6)
        return scaled * self.weights[f'{key}.weight'] + self.weights[f'{key}.bias']

    def layer(self, key: str, values: NDArray, heads: int) -> NDArray:
        """A pre-norm transformer layer over the tokens (L, D) that see each other."""
        qkv = self.linear(f'{key}.attn.qkv', self.norm(f'{key}.ln1', values))
        query, keys, value = np.split(qkv, 3, axis=1)
        width = values.shape[1] // heads
        mixed = []
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            logits = query[:, part] @ keys[:, part].T / math.sqrt(width)
            weight = np.exp(logits - logits.max(axis=1, keepdims=True))
            mixed.append(weight / weight.sum(axis=1, keepdims=True) @ value[:, part])
        values = values + self.linear(f'{key}.attn.proj', np.concatenate(mixed, axis=1))
        hidden = gelu(self.linear(f'{key}.ffn.layers.0.0', self.norm(f'{key}.ln2', values)))
        return values + self.linear(f'{key}.ffn.layers.1', hidden)

    def embed(self, part: str, name: str, image: NDArray) -> NDArray:
        """Patch tokens (N, D) of a window (C, H, W), of ``part`` ``''`` or ``'teacher.'``."""
        key = f'{part}backbone.patch_embed.projection'
        if self.shared is not None:
            image = self.render(part, name, image)
        elif name != self.primary:
            key = f'{part}embedding.projections.{name}'
        kernel, bias = self.weights[f'{key}.weight'], self.weights[f'{key}.bias']
        return np.array(
            [
                (kernel * one).sum(axis=(1, 2, 3)) + bias
                for one in patches_of(image, self.patch_size)
            ]
        )

    def render(self, part: str, name: str, image: NDArray) -> NDArray:
        """The three channels of section 1's ``shared``."""
        assert self.shared is not None
        key = f'{part}embedding.projections.{name}'
        if name in self.shared:
            return image[self.shared[name]]
        if f'{key}.weight' in self.weights:
            mixed = np.einsum('oc,chw->ohw', self.weights[f'{key}.weight'][..., 0, 0], image)
            return mixed + self.weights[f'{key}.bias'][:, None, None]
        return np.repeat(image, 3, axis=0) if len(image) == 1 else image

    def encode(
        self,
        part: str,
        name: str,
        image: NDArray,
        seen: NDArray,
        grid: tuple[int, int],
        average_layers: int = 1,
    ) -> tuple[NDArray, NDArray]:
        """The cls token (D,) and the tokens (K, D) of the patches that are seen."""
        tokens = self.embed(part, name, image)
        positions = resized(sincos((self.side, self.side), tokens.shape[1]), self.side, grid)
        values = np.concatenate([self.weights[f'{part}backbone.cls_token'][0], tokens + positions])
        values = values[np.concatenate([[True], seen])]
        outputs = []
        for index in range(self.depths['backbone']):
            key = f'{part}backbone.layers.{index}'
            values = self.layer(key, values, self.heads['backbone'])
            outputs.append(standardized(values, 1e-5))
        if average_layers > 1:
            values = np.mean(outputs[-average_layers:], axis=0)
        else:
            values = self.norm(f'{part}backbone.ln1', values)
        return values[0], values[1:]

    def decoder(self, key: str, values: NDArray) -> NDArray:
        for index in range(self.depths[key]):
            values = self.layer(f'{key}.decoder.layers.{index}', values, self.heads[key])
        return self.norm(f'{key}.decoder.norm', values)

    def project(self, values: NDArray) -> NDArray:
        """To the width of the decoders, without a bias."""
        return values @ self.weights['fusion_decoder.project.weight'].T

    def fuse(
        self, encoded: dict[str, tuple[NDArray, NDArray]], seen: dict[str, NDArray], positions
    ) -> NDArray:
        """Fused tokens (L, D') of the locations that some modality sees."""
        projected = {}
        for name, (cls_token, tokens) in encoded.items():
            added = cls_token if self.cls_path in ('detached', 'added') else 0.0
            projected[name] = self.project(tokens + added)
        union = np.flatnonzero(np.any(list(seen.values()), axis=0))
        fused = self.weights['fusion_decoder.fusion_token'][0] + positions[union]
        if self.filled:
            for row, location in enumerate(union):
                here = [
                    projected[name][np.count_nonzero(seen[name][:location])]
                    for name in projected
                    if seen[name][location]
                ]
                fused[row] += np.mean(here, axis=0)
            return self.decoder('fusion_decoder', fused)
        sequence = [projected[name] + positions[seen[name]] for name in projected]
        return self.decoder('fusion_decoder', np.concatenate([*sequence, fused]))[-len(union) :]

    def decode(
        self,
        encoded: dict[str, tuple[NDArray, NDArray]],
        seen: dict[str, NDArray],
        hidden: dict[str, NDArray],
        grid: tuple[int, int],
    ) -> dict[str, NDArray]:
        """Decoded tokens (N, D') of one window by modality; NaN where nobody asks for them."""
        positions = sincos(grid, self.weights['fusion_decoder.fusion_token'].shape[-1])
        union = np.any(list(seen.values()), axis=0)
        context = self.fuse(encoded, seen, positions) + positions[union]
        if self.cls_path == 'token':
            there = [name for name in self.modalities if seen[name].any()]
            summary = np.array([encoded[name][0] for name in there])
            context = np.concatenate([self.project(summary), context])
        decoded = {}
        anywhere = np.any(list(hidden.values()), axis=0)
        for name in hidden:
            asked = np.ones_like(anywhere)
            if self.queries == 'hidden':
                asked = anywhere if self.joint else hidden[name]
            token = 0 if self.joint else self.modalities.index(name)
            queries = self.weights['modality_decoder.mask_tokens'][token] + positions[asked]
            decoded[name] = np.full(positions.shape, np.nan)
            if asked.any():
                sequence = np.concatenate([context, queries])
                decoded[name][asked] = self.decoder('modality_decoder', sequence)[-len(queries) :]
        return decoded

    def perceptron(self, key: str, values: NDArray, last: int = 2) -> NDArray:
        """Linear, GELU, Linear."""
        return self.linear(f'{key}.{last}', gelu(self.linear(f'{key}.{last - 2}', values)))


def gelu(values: NDArray) -> NDArray:
    return values * (1 + erf(values / math.sqrt(2))) / 2


def standardized(values: NDArray, eps: float) -> NDArray:
    """Tokens (..., D) less their mean over their deviation, each by itself."""
    mean, variance = values.mean(axis=-1, keepdims=True), values.var(axis=-1, keepdims=True)
    return (values - mean) / np.sqrt(variance + eps)


def sincos(grid: tuple[int, int], width: int) -> NDArray:
    """Positions (N, D) as mmpretrain's MAE: sine and cosine of the row, then of the column."""
    quarter = width // 4
    positions = np.zeros((grid[0] * grid[1], width))
    for row in range(grid[0]):
        for col in range(grid[1]):
            for k in range(quarter):
                rate = 10000.0 ** (-k / quarter)
                angles = (row * rate, col * rate)
                place = positions[row * grid[1] + col]
                place[k], place[quarter + k] = math.sin(angles[0]), math.cos(angles[0])
                place[2 * quarter + k] = math.sin(angles[1])
                place[3 * quarter + k] = math.cos(angles[1])
    return positions


def resized(positions: NDArray, side: int, grid: tuple[int, int]) -> NDArray:
    """Positions (side * side, D) brought to another grid, bicubic as mmpretrain does it."""
    if grid == (side, side):
        return positions
    square = torch.from_numpy(positions.T.reshape(1, -1, side, side).copy())
    moved = torch.nn.functional.interpolate(square, size=grid, mode='bicubic', align_corners=False)
    return moved[0].flatten(1).T.numpy()
