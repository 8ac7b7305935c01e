"""Keys of a modality in a config: one dictionary serves the dataset and the data preprocessor."""

from collections.abc import Mapping
from typing import Any

# how the dataset reads the files of a modality
READING = frozenset(
    {'suffix', 'bands', 'resampling', 'nodata', 'nodata_rule', 'mask', 'dtype', 'unit'}
)
# how the data preprocessor normalizes its values
VALUES = frozenset({'mean', 'std', 'relative_to_median', 'min_span'})


def without(keys: frozenset[str], modality: Mapping[str, Any] | None) -> dict[str, Any]:
    """Leave out the keys that are another reader's; what is unknown stays, to be refused.

    Args:
        keys: keys to leave out.
        modality: settings of one modality; None for none.
    """
    return {key: value for key, value in (modality or {}).items() if key not in keys}
