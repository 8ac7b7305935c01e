"""Errors of estimated heights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mssdf.registry import METRICS

from ..heights import HeightErrors, height_errors


@METRICS.register_module()
class HeightMetric(BaseMetric):
    """A metric of heights: RMSE, MAE, AbsRel and d1 to d3 over all valid pixels.

    ``RMSE`` and ``MAE`` are in meters; ``RMSE_scaled`` and ``MAE_scaled`` are in the scale of a
    data set's papers (heights over a maximum).

    Args:
        maximum: height in meters that is 1 in that scale; None gives no scaled scores.
        floor: true height in meters above which the relative scores count a pixel.
        collect_device: device on which MMEngine collects the results, ``'cpu'`` or ``'gpu'``.
        prefix: prefix of the scores' names.
    """

    def __init__(
        self,
        maximum: float | None = None,
        floor: float = 1.0,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.maximum = maximum
        self.floor = floor

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Compare ``pred_depth_map`` with ``gt_depth_map`` (NaN where unknown)."""
        for sample in data_samples:
            predicted, truth = (
                sample[name]['data'].squeeze(0).float().cpu().numpy()
                for name in ('pred_depth_map', 'gt_depth_map')
            )
            self.results.append(height_errors(predicted, truth, np.isfinite(truth), self.floor))

    def compute_metrics(self, results: list[HeightErrors]) -> dict[str, float]:
        """Log the scores and return them."""
        total = sum(results, HeightErrors())
        scores = total.scores()
        if self.maximum is not None:
            scaled = total.scores(1 / self.maximum)
            scores |= {f'{name}_scaled': scaled[name] for name in ('RMSE', 'MAE')}
        print_log(
            ', '.join(f'{name} {value:.4f}' for name, value in scores.items())
            + f' ({total.count:.0f} valid pixels)',
            logger='current',
        )
        return scores
