"""Reading of configs, as all command lines do it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mssdf.checkpoints.initializer import NOT_GIVEN
from mssdf.errors import UsageError, one_line
from mssdf.utils.project_root import ROOT

from .overlays import name_of_run, read_with_overlays

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
CHECKPOINT_VARIABLE = 'MSSDF_CHECKPOINT'
DATA_VARIABLE = 'MSSDF_DATA'
# Libraries whose configs ours inherit, and the extras that install them.
EXTRAS = dict(mmseg='segmentation', mmdet='detection', mmrotate='detection')
MMENGINE_HOOKS = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)
INITIALIZERS = ('StrictPretrained', 'MultiModalPretrained')


def find_config(name: str) -> Path:
    """Find a config in the current folder, the project's, or its ``configs``.

    Raises:
        UsageError: if the config is in none of them.
    """
    places = [Path(name), ROOT / name, ROOT / 'configs' / name]
    for path in places:
        if path.is_file():
            return path
    raise UsageError(f'{name}: expected a config, found none at {", ".join(map(str, places))}')


def read_config(
    name: str,
    data_root: str | None = None,
    options: Mapping[str, Any] | None = None,
    checkpoint: str | None = None,
    overlays: Sequence[str] = (),
) -> Config:
    """Read a config and apply the options that every command line has.

    Args:
        name: path or name of the config; see :func:`find_config`.
        data_root: ``data_root`` of every dataset; None takes the variable ``MSSDF_DATA``.
        options: settings that override the config's, by their dotted names.
        checkpoint: path of a pre-training checkpoint, for configs that start from one; None takes
            the variable ``MSSDF_CHECKPOINT``.
        overlays: names or paths of the overlays to merge over the config, in their order.

    Raises:
        UsageError: if the config cannot be read, or an option does not fit it.
    """
    path = find_config(name)
    if checkpoint is not None:
        if not Path(checkpoint).is_file():
            raise UsageError(f'--checkpoint: expected a file, found none at {checkpoint}')
        os.environ[CHECKPOINT_VARIABLE] = str(Path(checkpoint).absolute())

    try:
        config = read_with_overlays(path, overlays)
    except UsageError:
        raise
    except Exception as error:  # a config's own code may raise any type
        reason = one_line(error)
        for library, extra in EXTRAS.items():
            if reason.startswith(f'{library} is not installed'):
                raise UsageError(
                    f"{path}: expected {library}, found none: pip install 'mssdf[{extra}]'"
                ) from None
        raise UsageError(
            f'{path}: expected a config, found {type(error).__name__}: {reason}'
        ) from error

    if checkpoint is not None and not list(initializers_of(config.get('model'))):
        raise UsageError(f'--checkpoint: expected a config that starts from one, found {path.name}')

    # The variable yields to --cfg-options, and those yield to --data-root.
    if os.environ.get(DATA_VARIABLE) and not data_root:
        set_data_root(config, os.environ[DATA_VARIABLE])
    if options:
        try:
            config.merge_from_dict(dict(options))
        except (KeyError, TypeError, IndexError, AssertionError, AttributeError) as error:
            raise UsageError(f'--cfg-options: {error}') from None
    if data_root:
        set_data_root(config, data_root)

    drop_hooks_that_are_off(config)
    find_shipped_data(config)
    return config


def default_work_dir(name: str, overlays: Sequence[str] = ()) -> str:
    """Name the work directory of a config: ``work_dirs/CONFIG+frozen+labels-20``."""
    return str(Path('work_dirs') / name_of_run(find_config(name), overlays))


def dictionaries(node: Any) -> Iterator[dict]:
    """Yield every dictionary inside ``node``."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from dictionaries(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from dictionaries(value)


def initializers_of(model: Any) -> Iterator[dict]:
    """Yield the initializers in a model's config that read a pre-training checkpoint."""
    for node in dictionaries(model):
        if str(node.get('type')).removeprefix('mssdf.') in INITIALIZERS:
            yield node


def drop_initializers(model: Any) -> None:
    """Drop the initializers that read a pre-training checkpoint, before weights are loaded."""
    for node in dictionaries(model):
        if any(node.get('init_cfg') is found for found in initializers_of(node.get('init_cfg'))):
            node['init_cfg'] = None


def require_checkpoint(config: Config) -> None:
    """Check that a model that starts from a checkpoint has one.

    Raises:
        UsageError: if it has none.
    """
    for node in initializers_of(config.get('model')):
        if node.get('checkpoint') in (None, '', NOT_GIVEN):
            raise UsageError(
                '--checkpoint: expected a pre-training checkpoint that the model starts from, '
                f'found none (--checkpoint FILE, or the variable {CHECKPOINT_VARIABLE}); '
                '--with scratch does without'
            )


def datasets_of(config: Config) -> Iterator[dict]:
    """Yield every dataset that has a ``data_root``, also inside wrappers."""
    for name in DATALOADERS:
        for node in dictionaries(config.get(name)):
            if 'data_root' in node:
                yield node


def set_data_root(config: Config, data_root: str) -> None:
    """Set ``data_root`` of every dataset.

    Raises:
        UsageError: if no dataset has the key.
    """
    found = list(datasets_of(config))
    if not found:
        raise UsageError(
            f'data root {data_root}: expected a dataset with the key data_root in the config, '
            'found none'
        )
    for dataset in found:
        dataset['data_root'] = data_root


def drop_hooks_that_are_off(config: Config) -> None:
    """Drop hooks set to None, which MMEngine's runners accept for their own hooks only."""
    hooks = config.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in MMENGINE_HOOKS:  # MMEngine would add those again
            hooks.pop(name)
    if config.get('custom_hooks'):
        config.custom_hooks = [hook for hook in config.custom_hooks if hook is not None]


def find_shipped_data(config: Config) -> None:
    """Resolve relative data paths that exist only in the project, from any folder."""
    hooks = [*(config.get('default_hooks') or {}).values(), *(config.get('custom_hooks') or [])]
    places = [(dataset, 'data_root') for dataset in datasets_of(config)]
    places += [(hook, 'images') for hook in hooks if isinstance(hook, dict) and 'images' in hook]
    for holder, key in places:
        path = holder[key]
        if path and not Path(path).exists() and (ROOT / path).exists():
            holder[key] = str(ROOT / path)
