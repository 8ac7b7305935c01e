"""One dictionary of a modality serves the dataset and the data preprocessor."""

from dataclasses import fields

import pytest

from mssdf.models import MultiModalDataPreprocessor
from mssdf.rasters.scenes import ModalitySettings
from mssdf.utils.modality_keys import READING, VALUES

DSM = dict(suffix='_dsm.tif', bands=[1], mean=[0.0], std=[10.0], relative_to_median=True)


def test_the_keys_of_the_dataset_are_those_of_its_settings():
    assert {field.name for field in fields(ModalitySettings)} == READING
    assert not READING & VALUES


def test_each_reader_takes_its_own():
    settings = ModalitySettings.from_config('dsm', DSM)
    assert (settings.suffix, settings.bands) == ('_dsm.tif', (1,))
    preprocessor = MultiModalDataPreprocessor(dict(dsm=DSM))
    kept = dict(mean=[0.0], std=[10.0], relative_to_median=True)
    assert preprocessor.modalities == dict(dsm=kept)


def test_what_neither_knows_is_refused_by_both():
    wrong = dict(DSM, sufix='_dsm.tif')
    with pytest.raises(KeyError, match="found \\['sufix'\\]"):
        ModalitySettings.from_config('dsm', wrong)
    with pytest.raises(ValueError, match="found \\['sufix'\\]"):
        MultiModalDataPreprocessor(dict(dsm=wrong))
