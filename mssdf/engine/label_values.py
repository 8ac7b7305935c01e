"""Checks of all labels in the batches of the first epoch."""

from typing import Any

from .data_check import DataCheckError, Expectations, check_values, values_of

FILES = ('img_path', 'seg_map_path')


def check_batch(batch: Any, expected: Expectations) -> None:
    """Refuse a batch with labels that the model does not have.

    Args:
        batch: batch as the loader collates it, with ``data_samples`` among its keys.
        expected: expectations of the model.

    Raises:
        DataCheckError: if there are such labels; the sample's files and the first labels are named.
    """
    samples = batch.get('data_samples') if isinstance(batch, dict) else None
    if not isinstance(samples, (list, tuple)):
        return
    for sample in samples:
        for name, labels in expected.labels.items():
            values = values_of(sample, name) if name in sample else None
            if values is None:
                continue
            try:
                check_values(name, values, labels)
            except DataCheckError as error:
                files = [str(sample.metainfo[key]) for key in FILES if sample.metainfo.get(key)]
                raise DataCheckError(f'{" + ".join(files) or "a sample"}: {error}') from None
