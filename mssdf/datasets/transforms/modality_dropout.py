"""Leaving out whole modalities."""

from collections.abc import Mapping

import numpy as np

from mssdf.errors import UnknownKeyError
from mssdf.registry import TRANSFORMS

from .base import Results, check_probability, present


@TRANSFORMS.register_module()
class ModalityDropout:
    """A transform that makes modalities missing at random, but never all of those present.

    Args:
        prob: probability of each modality by name (0 for those not named), or one for all of them.
    """

    def __init__(self, prob: float | Mapping[str, float]) -> None:
        self.prob: float | dict[str, float]
        if isinstance(prob, Mapping):
            self.prob = {m: check_probability(f'prob.{m}', p) for m, p in prob.items()}
        else:
            self.prob = check_probability('prob', prob)

    def __call__(self, results: Results) -> Results:
        """Drop."""
        rng, names = results['rng'], list(results['images'])
        if isinstance(self.prob, dict):
            unknown = sorted(set(self.prob) - set(names))
            if unknown:
                raise UnknownKeyError('prob', f'some of {names}', unknown)
            prob = [self.prob.get(modality, 0.0) for modality in names]
        else:
            prob = [self.prob] * len(names)

        # As many draws whatever is present: what follows must not depend on it.
        draws, kept = rng.random(len(names)), rng.random()
        there = present(results)
        dropped = [m for m, u, p in zip(names, draws, prob, strict=True) if u < p and m in there]
        if there and len(dropped) == len(there):
            dropped.remove(dropped[int(kept * len(dropped))])

        for part in ('images', 'valid'):
            results[part] = {
                m: np.zeros_like(array) if m in dropped else array
                for m, array in results[part].items()
            }
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
