"""Units of the modalities, in which a config gives heights and deviations."""

import logging
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log


def modality_units(modalities: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Find the number of a modality's own units that a normalized value of 1 stands for.

    Args:
        modalities: settings of the data preprocessor's modalities.

    Returns:
        Mean standard deviation of each modality's bands.
    """
    return {
        name: sum(settings['std']) / len(settings['std']) for name, settings in modalities.items()
    }


def warn_of_absent(key: str, given: Mapping[str, Any], modalities: Mapping[str, Any]) -> None:
    """Warn of options for modalities that the data lack, as a base config may name them.

    Args:
        key: key of the config.
        given: options by modality.
        modalities: modalities of the model.
    """
    absent = sorted(given.keys() - modalities.keys())
    if absent:
        print_log(
            f'{key}: {absent} are no modalities of this model ({list(modalities)}) and are left '
            'out',
            'current',
            logging.WARNING,
        )
