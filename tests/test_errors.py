"""Errors with attributes: their messages, their built-in bases, and their way between processes."""

import pickle
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mssdf.errors import (
    CheckpointError,
    ConfigError,
    FileError,
    MissingFileError,
    UnknownKeyError,
    UsageError,
    Words,
    message_of,
    one_line,
)
from mssdf.rasters.failures import UnreadableDataError

ALL = [
    ConfigError('windows.stride', 'at least 1', 0, note='leave it out for none'),
    UnknownKeyError('modalities.rgb', 'some of suffix and bands', ['sufix']),
    FileError('a.tif:3', 'text', Words('a zero byte')),
    MissingFileError(Path('b.tif'), 'a file'),
    CheckpointError('c.pth', 'torn'),
    UnreadableDataError('2 of 3 files failed'),
]
MESSAGES = [
    'windows.stride: expected at least 1, found 0; leave it out for none',
    "modalities.rgb: expected some of suffix and bands, found ['sufix']",
    'a.tif:3: expected text, found a zero byte',
    'b.tif: expected a file, found none',
    'c.pth: torn',
    '2 of 3 files failed',
]


@pytest.mark.parametrize(('error', 'message'), zip(ALL, MESSAGES, strict=True))
def test_a_message_has_name_expectation_and_finding(error, message):
    assert str(error) == message_of(error) == one_line(error) == message
    assert isinstance(error, UsageError)


@pytest.mark.parametrize('error', ALL, ids=lambda error: type(error).__name__)
def test_an_error_is_pickled_with_its_parts(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    assert vars(again) == vars(error)


def test_parts_are_attributes():
    error = ALL[0]
    assert (error.key, error.expected, error.found) == ('windows.stride', 'at least 1', '0')
    assert error.problem == 'expected at least 1, found 0; leave it out for none'
    assert (ALL[2].path, ALL[4].path, ALL[4].problem) == ('a.tif:3', 'c.pth', 'torn')


@pytest.mark.parametrize(
    ('error', 'bases'),
    [
        (ALL[0], ValueError),
        (ALL[1], (KeyError, ConfigError)),
        (ALL[2], ValueError),
        (ALL[3], (FileNotFoundError, FileError)),
        (ALL[4], RuntimeError),
        (ALL[5], RuntimeError),
    ],
)
def test_callers_catch_the_built_in_error(error, bases):
    for base in bases if isinstance(bases, tuple) else (bases,):
        with pytest.raises(base):
            raise error


class Broken(Dataset):
    """Samples of which each raises the error of its number."""

    def __len__(self):
        return len(ALL)

    def __getitem__(self, index):
        raise ALL[index]


@pytest.mark.parametrize('index', range(len(ALL)))
def test_the_message_comes_out_of_a_data_worker_without_its_traceback(index):
    """PyTorch builds the error again from its class and its traceback's text."""
    loader = DataLoader(
        torch.utils.data.Subset(Broken(), [index]),
        num_workers=1,
        multiprocessing_context=get_context('fork'),
    )
    with pytest.raises(type(ALL[index])) as caught:
        next(iter(loader))
    assert 'Traceback' in str(caught.value)
    assert message_of(caught.value) == MESSAGES[index]


def test_any_error_is_one_line():
    assert one_line(KeyError('a: expected b')) == 'a: expected b'
    assert one_line(ValueError('two\n  lines')) == 'two lines'
    assert one_line(ValueError()) == 'ValueError'
