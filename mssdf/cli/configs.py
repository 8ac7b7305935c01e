"""Reading a config the way the command lines do."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mssdf.checkpoints.initializer import NOT_GIVEN
from mssdf.errors import UsageError
from mssdf.utils.project_root import ROOT

from .overlays import name_of_run, read_with_overlays

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
CHECKPOINT_VARIABLE = 'MSSDF_CHECKPOINT'
DATA_VARIABLE = 'MSSDF_DATA'
# libraries whose configs ours inherit, and what brings them
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
    """Find a config from the current folder, the project's, or its ``configs``.

    Raises:
        UsageError: if it is in none of them.
    """
    places = [Path(name), ROOT / name, ROOT / 'configs' / name]
    for path in places:
        if path.is_file():
            return path
    raise UsageError(f'{name}: no such config; looked at {", ".join(map(str, places))}')


def read_config(
    name: str,
    data_root: str | None = None,
    options: Mapping[str, Any] | None = None,
    checkpoint: str | None = None,
    overlays: Sequence[str] = (),
) -> Config:
    """Read a config and apply what a command line has for every config.

    Args:
        name: see :func:`find_config`.
        data_root: of every dataset; the variable ``MSSDF_DATA`` if None.
        options: settings to override, by their dotted names.
        checkpoint: of pre-training, for configs that ask for one; the variable
            ``MSSDF_CHECKPOINT`` if None.
        overlays: names or paths of the overlays to merge over the config, in their order.

    Raises:
        UsageError: if the config cannot be read or something does not fit it.
    """
    path = find_config(name)
    if checkpoint is not None:
        if not Path(checkpoint).is_file():
            raise UsageError(f'--checkpoint {checkpoint}: no such file')
        os.environ[CHECKPOINT_VARIABLE] = str(Path(checkpoint).absolute())
    try:
        config = read_with_overlays(path, overlays)
    except UsageError:
        raise
    except Exception as error:  # whatever a config's own code raises
        reason = ' '.join(str(error).split())
        for library, extra in EXTRAS.items():
            if reason.startswith(f'{library} is not installed'):
                raise UsageError(
                    f"{path}: needs {library}, which is not installed: pip install 'mssdf[{extra}]'"
                ) from None
        raise UsageError(
            f'{path}: cannot be read as a config: {type(error).__name__}: {reason}'
        ) from error
    if checkpoint is not None and not list(initializers_of(config.get('model'))):
        raise UsageError(f'--checkpoint {checkpoint}: nothing in {path.name} starts from one')
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
    """Folder of the run of a config with overlays: ``work_dirs/CONFIG+frozen+labels-20``."""
    return str(Path('work_dirs') / name_of_run(find_config(name), overlays))


def dictionaries(node: Any) -> Iterator[dict]:
    """Every dictionary inside ``node``."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from dictionaries(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from dictionaries(value)


def initializers_of(model: Any) -> Iterator[dict]:
    """The initializers inside a model's config that read a pre-training checkpoint."""
    for node in dictionaries(model):
        if str(node.get('type')).removeprefix('mssdf.') in INITIALIZERS:
            yield node


def drop_initializers(model: Any) -> None:
    """Let a model start from no pre-training checkpoint: its trained weights are loaded."""
    for node in dictionaries(model):
        if any(node.get('init_cfg') is found for found in initializers_of(node.get('init_cfg'))):
            node['init_cfg'] = None


def require_checkpoint(config: Config) -> None:
    """Make sure that a model that starts from a checkpoint has been given one.

    Raises:
        UsageError: if not.
    """
    for node in initializers_of(config.get('model')):
        if node.get('checkpoint') in (None, '', NOT_GIVEN):
            raise UsageError(
                'the model starts from a pre-training checkpoint, and none was given: '
                f'--checkpoint FILE, or the variable {CHECKPOINT_VARIABLE}; --with scratch does '
                'without'
            )


def datasets_of(config: Config) -> Iterator[dict]:
    """Every dataset that has a ``data_root``, those of wrappers too."""
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
        raise UsageError(f'data root {data_root}: no dataset of the config has the key data_root')
    for dataset in found:
        dataset['data_root'] = data_root


def drop_hooks_that_are_off(config: Config) -> None:
    """Leave out hooks set to None, which MMEngine's runners refuse unless they are their own."""
    hooks = config.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in MMENGINE_HOOKS:  # those it would add again
            hooks.pop(name)
    if config.get('custom_hooks'):
        config.custom_hooks = [hook for hook in config.custom_hooks if hook is not None]


def find_shipped_data(config: Config) -> None:
    """Let relative data paths that only the project has lead there, whatever the folder."""
    hooks = [*(config.get('default_hooks') or {}).values(), *(config.get('custom_hooks') or [])]
    places = [(dataset, 'data_root') for dataset in datasets_of(config)]
    places += [(hook, 'images') for hook in hooks if isinstance(hook, dict) and 'images' in hook]
    for holder, key in places:
        path = holder[key]
        if path and not Path(path).exists() and (ROOT / path).exists():
            holder[key] = str(ROOT / path)
