"""Section 6: every loss term of a batch, by its definition."""

import math
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .network import Network, gelu, standardized
from .windows import Batch, patches_of

GOLDEN = 0.6180339887


@dataclass
class Losses:
    """Settings of the terms, as a config has them."""

    weights: dict[str, float]
    units: dict[str, float]  # mean deviation of a modality's bands, in its own unit
    features: str = 'predicted'
    negatives: str = 'all'
    num_locations: int = 16
    max_rows: int = 8192
    temperature: float = 0.07
    projected: bool = False
    centered: bool = False
    flat: dict[str, float] = field(default_factory=dict)
    pixel_target: dict[str, str] = field(default_factory=dict)
    pixel_floor: dict[str, float] = field(default_factory=dict)
    pool: str = 'cls'
    instance_temperature: float = 0.1
    patch_temperature: float = 0.1


def unit(values: NDArray) -> NDArray:
    return values / np.sqrt((values**2).sum(axis=-1, keepdims=True) + 1e-6)


def log_softmax(logits: NDArray) -> NDArray:
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def info_nce(first: NDArray, second: NDArray, temperature: float) -> NDArray:
    """Symmetric InfoNCE (n,) of n rows against each other."""
    logits = unit(first) @ unit(second).T / temperature
    return -(np.diag(log_softmax(logits)) + np.diag(log_softmax(logits.T))) / 2


class Terms:
    """All terms of a batch, window by window.

    Args:
        network: weights and settings of the model.
        losses: settings of the terms.
        batch: masked batch.
    """

    def __init__(self, network: Network, losses: Losses, batch: Batch) -> None:
        self.network, self.losses, self.batch = network, losses, batch
        self.names = list(batch.images)
        self.size = len(batch.score)
        self.encoded = self._encode(batch)
        self.hidden = {m: batch.masks[m] & batch.patch_valid[m] for m in self.names}
        self.decoded = self._decode()

    def _encode(self, batch: Batch) -> list[dict[str, tuple[NDArray, NDArray]]]:
        return [
            {
                name: self.network.encode(
                    '', name, batch.images[name][b], ~batch.masks[name][b], batch.grid
                )
                for name in self.names
            }
            for b in range(self.size)
        ]

    def _decode(self) -> list[dict[str, NDArray] | None]:
        if 'fusion_decoder.fusion_token' not in self.network.weights:
            return [None] * self.size
        decoded: list[dict[str, NDArray] | None] = []
        for b in range(self.size):
            seen = {name: ~self.batch.masks[name][b] for name in self.names}
            hidden = {name: self.hidden[name][b] for name in self.names}
            empty = not np.any(list(seen.values()))
            parts = (self.encoded[b], seen, hidden, self.batch.grid)
            decoded.append(None if empty else self.network.decode(*parts))
        return decoded

    def _mean_over_windows(self, error) -> float:
        """Σ over modalities of the mean over a window's hidden patches, averaged over windows."""
        total = 0.0
        for b in range(self.size):
            for name in self.names:
                places = np.flatnonzero(self.hidden[name][b])
                if len(places):
                    total += np.mean([error(b, name, place) for place in places])
        return total / self.size

    def targets(self) -> dict[str, NDArray]:
        """The teacher's tokens (B, N, D) of whole windows, NaN at patches without data."""
        found = {}
        for name in self.names:
            valid = self.batch.patch_valid[name]
            width = self.network.weights['backbone.cls_token'].shape[-1]
            tokens = np.full((*valid.shape, width), np.nan)
            for b in range(self.size):
                image, layers = self.batch.images[name][b], self.network.average_layers
                tokens[b, valid[b]] = self.network.encode(
                    'teacher.', name, image, valid[b], self.batch.grid, layers
                )[1]
            if self.network.target_norm == 'token':
                tokens = standardized(tokens, 1e-5)
            elif self.network.target_norm == 'batch':
                rows = tokens[valid]
                tokens = (tokens - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-6)
            found[name] = tokens
        return found

    def predicted(self, b: int, name: str) -> NDArray:
        """The predicted teacher's tokens (N, D)."""
        decoded = self.decoded[b]
        if decoded is None:  # a window without any visible patch
            return np.full((self.batch.score.shape[1], len(self.encoded[b][name][0])), np.nan)
        return self.network.linear('feature_head', decoded[name])

    def rec(self) -> float:
        targets = self.targets()

        def error(b: int, name: str, place: int) -> float:
            return np.mean((self.predicted(b, name)[place] - targets[name][b, place]) ** 2)

        return self._mean_over_windows(error)

    def pix(self) -> float:
        def error(b: int, name: str, place: int) -> float:
            size = self.network.patch_size
            patch = patches_of(self.batch.images[name][b], size)[place]
            known = patches_of(self.batch.pixel_valid[name][b], size)[place][0]
            token = self.decoded[b][name][place]
            guess = self.network.linear(f'pixel_head.layers.{name}', token)
            guess = guess.reshape(size, size, len(patch)).transpose(2, 0, 1)[:, known]
            pixels = patch[:, known]
            if self.losses.pixel_target.get(name) == 'raw':
                gap = np.abs(guess - pixels)
                return np.where(gap < 1, gap**2 / 2, gap - 0.5).mean()
            floor = self.losses.pixel_floor.get(name, 0.0) / self.losses.units[name]
            deviation = max(pixels.std(), floor, 1e-3)
            return np.mean((guess - (pixels - pixels.mean()) / deviation) ** 2)

        return self._mean_over_windows(error)

    def disc(self) -> float:
        def error(b: int, name: str, place: int) -> float:
            kernel = self.network.weights[f'patch_projection.layers.{name}.weight']
            patches = patches_of(self.batch.images[name][b], self.network.patch_size)
            flat = np.array([one.transpose(1, 2, 0).ravel() for one in patches])
            guess = self.network.linear('patch_head', self.decoded[b][name][place])
            logits = unit(flat @ kernel.T) @ unit(guess) / self.losses.patch_temperature
            valid = self.batch.patch_valid[name][b]
            return -log_softmax(logits[valid])[np.count_nonzero(valid[:place])]

        return self._mean_over_windows(error)

    def cls(self) -> float:
        total = 0.0
        for b in range(self.size):
            entropies = []
            for label, name in enumerate(self.network.modalities):
                if self.batch.patch_valid[name][b].any():
                    token = self.network.norm('modality_head.layers.0', self.encoded[b][name][0])
                    token = gelu(self.network.linear('modality_head.layers.1', token))
                    logits = self.network.linear('modality_head.layers.3', token)
                    entropies.append(-log_softmax(logits)[label])
            total += np.mean(entropies) if entropies else 0.0
        return total / self.size

    def compared(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Features (B, N, D) that the pairwise terms compare, and where they may (B, N)."""
        if self.losses.features == 'predicted':
            features = {
                name: np.array([self.predicted(b, name) for b in range(self.size)])
                for name in self.names
            }
            return features, self.batch.patch_valid
        features = {}
        for name in self.names:
            masks = self.batch.masks[name]
            width = self.encoded[0][name][0].shape[0]
            features[name] = np.zeros((*masks.shape, width))
            for b in range(self.size):
                features[name][b, ~masks[b]] = self.encoded[b][name][1]
        return features, {name: ~self.batch.masks[name] for name in self.names}

    def flat(self) -> dict[str, NDArray]:
        """Patches (B, N) whose known heights lie within some meters."""
        found = {}
        for name, meters in self.losses.flat.items():
            size = self.network.patch_size
            found[name] = np.zeros(self.batch.score.shape, dtype=bool)
            for b in range(self.size):
                known = patches_of(self.batch.pixel_valid[name][b], size)
                for place, patch in enumerate(patches_of(self.batch.images[name][b], size)):
                    heights = patch[:, known[place][0]] * self.losses.units[name]
                    found[name][b, place] = not heights.size or np.ptp(heights) <= meters
        return found

    def pairwise(self) -> dict[str, float]:
        """L_align and L_hsic over the pairs of modalities, drawn by the batch's noise."""
        features, eligible = self.compared()
        projected = features
        if self.losses.projected:
            projected = {
                name: self.network.perceptron(f'align_head.layers.{name}', values)
                for name, values in features.items()
            }
        if self.losses.centered:
            projected = {name: centered(projected[name], eligible[name]) for name in self.names}
        pairs = list(combinations(self.names, 2))
        both = {pair: eligible[pair[0]] & eligible[pair[1]] for pair in pairs}
        num_pairs = np.sum([mask.any(axis=1) for mask in both.values()], axis=0)
        flat = self.flat()

        sums = dict.fromkeys(('align', 'hsic'), 0.0)
        weights = dict.fromkeys(sums, 0.0)
        for number, pair in enumerate(pairs):
            noise = np.mod(self.batch.noise + np.float32(number * GOLDEN), np.float32(1))
            rows = self._rows(noise, both[pair])
            weight = np.array([1 / num_pairs[b] for b, _ in rows])
            sides = [np.array([features[name][b, q] for b, q in rows]) for name in pair]
            if len(rows) > 1:
                sums['hsic'] += hsic(*sides) * weight.sum()
            weights['hsic'] += weight.sum()
            if self.losses.negatives == 'all':
                if len(rows):
                    sides = [np.array([projected[name][b, q] for b, q in rows]) for name in pair]
                    sums['align'] += weight @ info_nce(*sides, self.losses.temperature)
                weights['align'] += weight.sum()
                continue
            levels = [flat[name] for name in pair if name in flat]
            for place in np.argsort(noise[0])[: self.losses.num_locations]:
                for b in np.flatnonzero(both[pair][:, place]):
                    loss = self._at_location(projected, pair, both[pair], levels, place, b)
                    if loss is not None:
                        sums['align'] += loss / num_pairs[b]
                        weights['align'] += 1 / num_pairs[b]
        return {name: sums[name] / max(weights[name], 1e-6) for name in sums}

    def _rows(self, noise: NDArray, mask: NDArray) -> list[tuple[int, int]]:
        """Windows and locations with the least random numbers of those that may be drawn."""
        wanted = max(2, min(self.losses.max_rows, self.losses.num_locations * self.size))
        places = sorted(zip(*np.nonzero(mask), strict=True), key=lambda place: noise[place])
        return places[:wanted]

    def _at_location(self, projected, pair, mask, levels, place: int, b: int) -> float | None:
        """One anchor's loss against the other windows at its location; None without any."""
        others = [
            other
            for other in np.flatnonzero(mask[:, place])
            if other != b and not any(level[b, place] and level[other, place] for level in levels)
        ]
        if not others:
            return None
        candidates = [b, *others]
        total = 0.0
        for anchor, other in (pair, pair[::-1]):
            rows = unit(projected[other][candidates, place])
            logits = rows @ unit(projected[anchor][b, place]) / self.losses.temperature
            total -= log_softmax(logits)[0] / 2
        return total

    def inst(self) -> float:
        """InfoNCE of whole windows between modalities, or between two views of them."""
        views, present = self._pooled(self.batch, self.encoded)
        count = len(views)
        pairs = list(combinations(range(count), 2))
        if self.batch.second is not None:
            second = self._pooled(self.batch.second, self._encode(self.batch.second))
            views, present = views + second[0], present + second[1]
            pairs = [(i, count + j) for i in range(count) for j in range(count)]
        total = 0.0
        for first, second in pairs:
            both = present[first] & present[second]
            if both.sum() > 1:
                sides = (views[first][both], views[second][both])
                total += info_nce(*sides, self.losses.instance_temperature).mean()
        return total / len(pairs)

    def _pooled(self, batch: Batch, encoded) -> tuple[list[NDArray], list[NDArray]]:
        views, present = [], []
        for name in self.names:
            pooled = []
            for one in encoded:
                cls_token, tokens = one[name]
                mean = tokens.mean(axis=0) if len(tokens) else np.zeros_like(cls_token)
                pooled.append(cls_token if self.losses.pool == 'cls' else mean)
            views.append(self.network.perceptron('instance_head.layers.all', np.array(pooled)))
            present.append(batch.patch_valid[name].any(axis=1))
        return views, present

    def all(self) -> dict[str, float]:
        """Every term whose weight is not 0, and their weighted sum."""
        wanted = {name for name, weight in self.losses.weights.items() if weight}
        found = {
            name: getattr(self, name)()
            for name in ('rec', 'cls', 'pix', 'inst', 'disc')
            if name in wanted
        }
        if wanted & {'align', 'hsic'}:
            found |= {name: value for name, value in self.pairwise().items() if name in wanted}
        found['loss'] = math.fsum(self.losses.weights[name] * found[name] for name in found)
        return found


def centered(features: NDArray, eligible: NDArray) -> NDArray:
    """Features less their mean over the window's eligible locations."""
    out = features.copy()
    for b, mask in enumerate(eligible):
        if mask.any():
            out[b] -= features[b, mask].mean(axis=0)
    return out


def hsic(first: NDArray, second: NDArray) -> float:
    """‖XᵀY‖² / (n - 1)² / d² of standardized features (n, d)."""
    freedom = len(first) - 1
    scaled = []
    for side in (first, second):
        rest = side - side.mean(axis=0)
        scaled.append(rest / np.sqrt((rest**2).sum(axis=0) / freedom + 1e-8))
    return np.linalg.norm(scaled[0].T @ scaled[1]) ** 2 / freedom**2 / first.shape[1] ** 2
