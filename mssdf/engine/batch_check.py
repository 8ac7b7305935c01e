"""Checks, before the first iteration, for batches that a model cannot process."""

import warnings
from collections.abc import Iterator
from typing import Any

import rasterio
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mssdf.distributed import unwrap

from .data_check import DataCheckError

MOST_SIZES = 16  # largest number of image sizes that are put through the pipeline


def check_smallest_batch(loader: Any, model: Any) -> None:
    """Refuse training batches of one sample where a batch norm sees one value per sample.

    Args:
        loader: data loader of the training.
        model: model to train; a config, which a strategy has not built yet, is not checked.

    Raises:
        DataCheckError: if there is such a batch, which PyTorch would refuse during training.
    """
    if smallest_batch(loader) != 1 or not isinstance(model, nn.Module):
        return
    norm = next(norms_of_single_values(model), None)
    if norm is None:
        return
    size = getattr(loader, 'batch_size', None) or getattr(loader.batch_sampler, 'batch_size', 1)
    if size == 1:
        raise DataCheckError(
            f'train_dataloader.batch_size: expected 2 or more samples for one process, as {norm} '
            'is a batch norm over one value of each, found 1'
        )
    raise DataCheckError(
        f'train_dataloader.drop_last: expected True, as {norm} is a batch norm over one value of '
        f'each sample and the last batch has 1, found False with {len(loader.sampler)} samples in '
        f'batches of {size}'
    )


def smallest_batch(loader: Any) -> int:
    """Return the number of samples in the smallest batch of a loader."""
    size = getattr(loader, 'batch_size', None)
    size = size or getattr(getattr(loader, 'batch_sampler', None), 'batch_size', None) or 0
    sampler = getattr(loader, 'sampler', None)
    if not size or getattr(loader, 'drop_last', False) or isinstance(sampler, InfiniteSampler):
        return size
    try:
        return len(sampler) % size or size  # type: ignore[arg-type]
    except TypeError:  # a sampler without a length
        return size


def norms_of_single_values(model: Any) -> Iterator[str]:
    """Yield the names of batch norms that see one value per sample of this process alone."""
    model = unwrap(model)
    pooled = [
        f'{name}.{place}'
        for name, module in model.named_modules()
        if isinstance(module, nn.Sequential)
        for place in range(1, len(module))
        if _gives_one_value(module[place - 1])
    ]
    # In mmpretrain's models, necks and heads come after the pooling.
    flat = isinstance(getattr(model, 'head', None), nn.Module)
    for name, module in model.named_modules():
        if not isinstance(module, _BatchNorm):
            continue
        if isinstance(module, nn.SyncBatchNorm) and get_world_size() > 1:
            continue
        vector = flat and isinstance(module, nn.BatchNorm1d) and name.startswith(('neck', 'head'))
        if vector or any(f'{name}.'.startswith(f'{stem}.') for stem in pooled):
            yield f'model.{name}'


def _gives_one_value(module: nn.Module) -> bool:
    """Tell whether a layer pools an image to one value per channel."""
    pools = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    return isinstance(module, pools) and module.output_size in (1, (1, 1), [1, 1])


def check_sizes(name: str, loader: Any, model: Any) -> None:
    """Refuse batches of images of several sizes, which mmseg's models cannot test.

    The headers of all images are read; one image of each size goes through the pipeline.

    Args:
        name: name of the loader in the config, for the error.
        loader: data loader of the validation or test.
        model: model to test.

    Raises:
        DataCheckError: if two inputs of one batch may differ in size; the error names two images.
    """
    model = unwrap(model)
    size = getattr(loader, 'batch_size', None) or 0
    if size < 2 or not hasattr(model, 'decode_head'):
        return
    found: dict[tuple[int, ...], str] = {}
    for index, path in list(_one_of_each_size(loader.dataset))[:MOST_SIZES]:
        inputs = loader.dataset[index]['inputs']
        inputs = inputs[0] if isinstance(inputs, (list, tuple)) else inputs
        found.setdefault(tuple(inputs.shape[-2:]), path)
        if len(found) > 1:
            sizes = ', '.join(f'{path} {rows} x {cols}' for (rows, cols), path in found.items())
            raise DataCheckError(
                f'{name}.batch_size: expected 1, as the images have several sizes, found {size}: '
                f'{sizes}'
            )


def _one_of_each_size(dataset: Any) -> Iterator[tuple[int, str]]:
    """Yield the index and the file of the first image of each size on disk."""
    seen = set()
    for index in range(len(dataset)):
        path = str(dataset.get_data_info(index).get('img_path'))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', NotGeoreferencedWarning)
                with rasterio.open(path) as image:
                    shape = image.shape
        except RasterioError:
            continue  # the error shows when the image is read as a sample
        if shape not in seen:
            seen.add(shape)
            yield index, path
