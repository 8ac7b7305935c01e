"""Reading of damaged files as in pre-training, one job per line; see raster_fuzzer.py."""

import json
import logging
import os
import resource
import sys
import time
import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from tiny_pretraining import MODALITIES, PREPROCESSOR

import mssdf.models  # noqa: F401  registers
from mssdf.datasets import MultiModalRasterDataset, SampleIndex, multimodal_collate
from mssdf.rasters.failures import UnreadableDataError
from mssdf.registry import MODELS

WINDOW = 64
# Limit in bytes: more than any of these small files needs, less than the machine has.
MEMORY = 6 * 2**30


class Messages(logging.Handler):
    """A handler that keeps what was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def open_dataset(job: dict[str, Any], original: bool = False) -> MultiModalRasterDataset:
    """Open a scene with the damaged file and a good one beside it."""
    path = job['original'] if original else job['path']
    scenes = [dict(job['good'], name='damaged'), dict(job['good'], name='good')]
    scenes[0][job['kind']] = path
    return MultiModalRasterDataset(
        modalities=MODALITIES,
        scenes=scenes,
        windows=dict(reference=job['reference'], size=WINDOW),
        reading=dict(max_failed_share=0.9, attempts=2, retry_seconds=0.0),
        index=dict(cache_dir=''),
        pipeline=[dict(type='mssdf.PackMultiModalInputs')],
    )


@cache
def read_original(path: str, kind: str, reference: str, rgb: str, dsm: str) -> list[dict]:
    """Read the windows of a file before it was damaged."""
    job = dict(original=path, kind=kind, reference=reference, good=dict(rgb=rgb, dsm=dsm))
    dataset = open_dataset(job, original=True)
    windows = [i for i in range(len(dataset)) if dataset.get_data_info(i)['scene'] == 'damaged']
    read = [dataset.read_window(i) for i in windows]
    return [one for one in read if one is not None]


def handle(job: dict[str, Any], preprocessor: torch.nn.Module, messages: Messages) -> dict:
    """Read the file and prepare its windows for the model; return the outcome."""
    messages.lines.clear()

    try:
        dataset = open_dataset(job)
        windows = [i for i in range(len(dataset)) if dataset.get_data_info(i)['scene'] == 'damaged']
        read = [dataset.read_window(i) for i in windows]
        samples = [dataset[SampleIndex(i, 0)] for i in range(len(dataset))]
    except (ValueError, UnreadableDataError) as error:
        message = str(error)
        clear = job['path'] in message and '\n' not in message
        return dict(outcome='error' if clear else 'unclear', message=repr(error))
    except Exception as error:
        return dict(outcome='unclear', message=repr(error))

    batch = preprocessor(multimodal_collate(samples), training=True)['inputs']
    finite = all(torch.isfinite(image).all() for image in batch.images.values())
    if not (finite and torch.isfinite(batch.score).all()):
        return dict(outcome='non-finite', message='')

    if not windows or any(one is None for one in read):
        named = [line for line in messages.lines if job['path'] in line]
        return dict(outcome='skip' if named else 'unnamed', message=' | '.join(named))

    expected = read_original(job['original'], job['kind'], job['reference'], *job['good'].values())
    same = len(read) == len(expected) and all(
        np.array_equal(one[part][m], other[part][m])
        for one, other in zip(read, expected, strict=True)
        for part in ('images', 'valid')
        for m in MODALITIES
    )
    return dict(outcome='same' if same else 'differs', message='')


def main() -> None:
    answers = os.fdopen(int(sys.argv[1]), 'w', buffering=1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    logger = MMLogger.get_instance('fuzz')
    messages = Messages()
    logger.handlers = [messages]
    logging.getLogger('rasterio').setLevel(logging.CRITICAL)
    preprocessor = MODELS.build(PREPROCESSOR)
    answers.write('ready\n')
    for line in sys.stdin:
        job = json.loads(line)
        torch.manual_seed(0)
        started = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = handle(job, preprocessor, messages)
        result['seconds'] = time.monotonic() - started
        result['grown_mib'] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        answers.write(json.dumps(result) + '\n')


if __name__ == '__main__':
    main()
