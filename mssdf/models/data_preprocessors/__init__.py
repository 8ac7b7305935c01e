"""Steps of a batch on the training device before the model sees it."""

from .masking_data_preprocessor import MaskingDataPreprocessor
from .multimodal_data_preprocessor import (
    MultiModalDataPreprocessor,
    SingleModalityDataPreprocessor,
)

__all__ = [
    'MaskingDataPreprocessor',
    'MultiModalDataPreprocessor',
    'SingleModalityDataPreprocessor',
]
