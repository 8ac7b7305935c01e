"""Weights of the loss terms and how they set in (method.md, sections 5 and 6)."""

import math
from dataclasses import dataclass

TERMS = ('rec', 'align', 'hsic', 'cls', 'pix', 'inst', 'disc')

Ramp = tuple[float, float]


@dataclass(frozen=True)
class LossTerm:
    """Weight of a loss term and its ramp.

    Attributes:
        weight: final weight; the term is not computed if it is 0.
        ramp: beginning and end of the linear rise from 0, in iterations (integers) or as shares
            of training (numbers within 0...1, one of them a float).
    """

    weight: float = 0.0
    ramp: Ramp | None = None

    @property
    def ramp_is_share(self) -> bool:
        """Tell whether the ramp is given as shares of training."""
        return self.ramp is not None and any(isinstance(edge, float) for edge in self.ramp)

    def at(self, iteration: int, max_iters: int | None = None) -> float:
        """Compute the weight at an iteration.

        Args:
            iteration: number of completed iterations.
            max_iters: iterations of the whole training, for a ramp in shares.

        Raises:
            ValueError: if the ramp is given in shares and the length of training is unknown.
        """
        if self.ramp is None:
            return self.weight
        begin, end = self.ramp

        if self.ramp_is_share:
            if max_iters is None:
                raise ValueError(
                    f'ramps: expected the length of training for a ramp in shares {self.ramp}, '
                    'found none: call set_progress(iteration, max_iters)'
                )
            begin, end = begin * max_iters, end * max_iters
        if begin == end:
            return self.weight * (iteration >= end)
        return self.weight * min(max((iteration - begin) / (end - begin), 0.0), 1.0)


def parse_loss_terms(
    weights: dict[str, float], ramps: dict[str, Ramp | None] | None = None
) -> dict[str, LossTerm]:
    """Join the weights and ramps of a config.

    Args:
        weights: weight of each term that is wanted.
        ramps: ramp of each term that has one.

    Returns:
        Every term of ``TERMS``.

    Raises:
        KeyError: for an unknown term.
        ValueError: if all weights are 0, one is negative, or a ramp falls or leaves training.
    """
    ramps = ramps or {}
    for key, given in (('losses', weights), ('ramps', ramps)):
        unknown = set(given) - set(TERMS)
        if unknown:
            raise KeyError(f'{key}: expected keys among {TERMS}, found {sorted(unknown)}')
    if not all(0 <= weight < math.inf for weight in weights.values()):
        raise ValueError(f'losses: weights must not be negative, infinite or NaN, found {weights}')
    if not any(weights.values()):
        raise ValueError(f'losses: at least one weight must be above 0, found {weights}')

    terms = {name: LossTerm(float(weights.get(name, 0)), ramps.get(name)) for name in TERMS}
    for name, term in terms.items():
        ramp = term.ramp
        if ramp is None:
            continue
        if len(ramp) != 2 or not 0 <= ramp[0] <= ramp[1]:
            raise ValueError(f'ramps.{name}: expected 0 <= begin <= end, found {ramp}')
        if term.ramp_is_share and ramp[1] > 1:
            raise ValueError(
                f'ramps.{name}: expected iterations (integers) or shares of training within '
                f'0...1, found {ramp}'
            )
    return terms
