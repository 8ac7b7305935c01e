"""All scores of one encoder on one set."""

import torch

from .conv_probe import probe_pixels
from .data import EvaluationData
from .dense_probes import probe_patches
from .features import SetFeatures, extract, inputs_of, side_by_side
from .featurizer import PRIMARY, Featurizer
from .measurement_settings import MeasurementSettings
from .probing import Probed
from .scene_probes import probe_scenes


def measure(
    featurizer: Featurizer, data: EvaluationData, settings: MeasurementSettings, device: str
) -> dict[str, list[Probed]]:
    """Measure an encoder on a set.

    Args:
        featurizer: encoder or baseline.
        data: evaluation set in memory.
        settings: settings of the measurement.
        device: device of the computation.

    Returns:
        Results by the name of the input.

    Raises:
        ValueError: if features are not finite, or the set does not fit the settings.
    """
    by_modality: dict[str, SetFeatures] = {}
    results: dict[str, list[Probed]] = {}
    for name, modalities in inputs_of(featurizer, data).items():
        for modality in modalities:
            if modality not in by_modality:
                by_modality[modality] = extract(featurizer, data, modality, device)
        features = side_by_side([by_modality[modality] for modality in modalities])
        _check(features, data.name, name)
        results[name] = _probe(features, data, settings, featurizer.metric)
    return results


def _probe(
    features: SetFeatures, data: EvaluationData, settings: MeasurementSettings, metric: str
) -> list[Probed]:
    if features.patches is None:
        found = []
        for pool, pooled in features.pooled.items():
            labels = data.target.to(pooled.device)
            found += probe_scenes(pooled, labels, len(data.classes), settings, metric, pool)
        return found
    found = [probe_patches(features.patches, data, settings)]
    if settings.conv:
        found.append(probe_pixels(features.patches, data, settings))
    return found


def _check(features: SetFeatures, set_name: str, input_name: str) -> None:
    """Refuse features that are not finite."""
    given = dict(features.pooled)
    if features.patches is not None:
        given['patch'] = features.patches
    for pool, values in given.items():
        if not torch.isfinite(values).all():
            raise ValueError(
                f'set {set_name!r}, input {input_name}: expected finite features ({pool}), '
                f'found NaN or infinite ones'
            )


__all__ = ['PRIMARY', 'measure']
