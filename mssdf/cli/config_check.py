"""Checks of a config without building it, with errors that name the key."""

import difflib
import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mmengine.registry import DefaultScope

from mssdf.errors import ConfigError, UnknownKeyError, Words, one_line

# Keys that the runner, the tools and the base configs read; others are the user's variables.
TOP_LEVEL = frozenset(
    'model train_dataloader val_dataloader test_dataloader train_cfg val_cfg test_cfg '
    'auto_scale_lr optim_wrapper param_scheduler val_evaluator test_evaluator default_hooks '
    'custom_hooks data_preprocessor load_from resume launcher env_cfg log_processor log_level '
    'visualizer vis_backends default_scope randomness experiment_name work_dir custom_imports '
    'compile runner_type strategy model_wrapper_cfg sync_bn find_unused_parameters '
    'tta_model'.split()
)
# Similarity to one of these keys from which a key counts as a typing error.
ALIKE = 0.87
LOADER_KEYS = frozenset(
    'dataset sampler batch_sampler batch_size num_workers collate_fn pin_memory drop_last timeout '
    'worker_init_fn multiprocessing_context generator prefetch_factor persistent_workers '
    'pin_memory_device in_order num_batch_per_epoch'.split()
)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# Keys that are removed before the constructor gets the others.
TAKEN_OUT = {'type', '_scope_', 'constructor', 'paramwise_cfg', 'convert_to_iter_based', 'priority'}
# Registered names that have changed, and what they are called now.
RENAMED = {'WholeCheckpointHook': 'StrictCheckpointHook'}
BUILT = 'model optim_wrapper default_hooks custom_hooks log_processor visualizer'.split()


def check_config(config: Mapping[str, Any]) -> None:
    """Check for keys and types that do not exist, as far as this is certain.

    Args:
        config: config as it will be built.

    Raises:
        ConfigError: if there is one; it has the dotted path, and what was expected and found.
    """
    _check_top_level(config)
    for name in LOADERS:
        if config.get(name) is not None:
            _check_loader(name, config[name])
    _check_bands(config)
    _check_crop(config)
    scope = config.get('default_scope') or 'mmengine'
    with DefaultScope.overwrite_default_scope(scope):
        for path, node in typed_nodes(config):
            _check_node(path, node)


def _check_top_level(config: Mapping[str, Any]) -> None:
    for key in config:
        if key in TOP_LEVEL:
            continue
        near = difflib.get_close_matches(key, TOP_LEVEL, n=1, cutoff=ALIKE)
        if near:
            raise UnknownKeyError(key, near[0], Words('a key that does not exist'))
    if 'modality_statistics' in config and 'modalities' in config:
        # the base's name until both were one: a child that sets it would change nothing
        raise ConfigError('modality_statistics', 'mean and std in modalities', Words('this key'))
    for key in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'):
        if key in config and config[key] is not None and not isinstance(config[key], Mapping):
            raise ConfigError(key, 'a dictionary', config[key])


def _check_loader(name: str, loader: Any) -> None:
    if not isinstance(loader, Mapping):
        raise ConfigError(name, 'a dictionary', loader)
    _refuse_unknown(name, loader, LOADER_KEYS)
    for key, least in (('batch_size', 1), ('num_workers', 0)):
        value = loader.get(key)
        if value is not None and not (type(value) is int and value >= least):
            raise ConfigError(f'{name}.{key}', f'an integer of {least} or more', value)


def _pretraining(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return data preprocessor and training dataset of a pre-training; empty for other configs."""
    preprocessor = (config.get('model') or {}).get('data_preprocessor')
    dataset = (config.get('train_dataloader') or {}).get('dataset')
    if not (isinstance(preprocessor, Mapping) and isinstance(dataset, Mapping)):
        return {}, {}
    masks = str(preprocessor.get('type')).endswith('MaskingDataPreprocessor')
    return (preprocessor, dataset) if masks else ({}, {})


def _check_bands(config: Mapping[str, Any]) -> None:
    """Check that each modality has as many bands in the data as means."""
    preprocessor, dataset = _pretraining(config)
    normalized = preprocessor.get('modalities') or {}
    for name, settings in (dataset.get('modalities') or {}).items():
        bands = (settings or {}).get('bands')
        mean = (normalized.get(name) or {}).get('mean')
        if bands and mean and len(bands) != len(mean):
            raise ConfigError(
                f'model.data_preprocessor.modalities.{name}.mean',
                f'{len(bands)} numbers, one for each of '
                f'train_dataloader.dataset.modalities.{name}.bands={list(bands)}',
                len(mean),
            )


def _check_crop(config: Mapping[str, Any]) -> None:
    """Check that patches divide the windows of the model."""
    preprocessor, dataset = _pretraining(config)
    backbone = (config.get('model') or {}).get('backbone') or {}
    patch = preprocessor.get('patch_size', backbone.get('patch_size', 16))
    for i, transform in enumerate(dataset.get('pipeline') or ()):
        size = transform.get('size') if isinstance(transform, Mapping) else None
        if type(size) is int and type(patch) is int and patch > 0 and size % patch:
            raise ConfigError(
                f'train_dataloader.dataset.pipeline[{i}].size',
                f'a multiple of patch_size={patch}',
                size,
            )


def typed_nodes(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield dotted path and content of every dictionary with a ``type`` that will be built."""
    for name in (*LOADERS, *BUILT):
        yield from _typed(name, config.get(name))


def _typed(path: str, node: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if isinstance(node.get('type'), str):
            yield path, node
        for key, value in node.items():
            yield from _typed(f'{path}.{key}', value)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _typed(f'{path}[{i}]', value)


def _check_node(path: str, node: Mapping[str, Any]) -> None:
    registry = _registry_of(path)
    if registry is None:
        return
    with registry.switch_scope_and_registry(None) as scoped:  # the same lookup as in the runner
        built = scoped.get(node['type'])
    if built is None:
        hint = _renamed(node['type']) or _similar(node['type'], _names(scoped))
        raise ConfigError(
            f'{path}.type', f'something registered as a {registry.name}', node['type'], note=hint
        )
    accepted = accepted_keys(built)
    if accepted is not None:
        moved = getattr(built, 'MOVED_KEYS', {})  # still taken, but no longer proposed
        node = {key: value for key, value in node.items() if key not in moved}
        _refuse_unknown(path, node, accepted | TAKEN_OUT)


def _renamed(name: str) -> str:
    scope, dot, bare = name.rpartition('.')
    return f'it is called {scope}{dot}{RENAMED[bare]} now' if bare in RENAMED else ''


def _similar(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'{near[0]}?' if near else ''


def _registry_of(path: str) -> Any:
    """Return the registry that builds the node at a path, where this is certain."""
    from mmengine import registry

    last = path.rpartition('.')[2]
    if '.pipeline[' in path and path.endswith(']') and path.count('[') == 1:
        return registry.TRANSFORMS
    for loader in LOADERS:
        if path == f'{loader}.dataset':
            return registry.DATASETS
        if path == f'{loader}.sampler':
            return registry.DATA_SAMPLERS
    if path in ('model', 'model.backbone', 'model.data_preprocessor', 'model.neck'):
        return registry.MODELS
    if re.fullmatch(
        r'model\.(embedding|fusion_decoder|modality_decoder|\w*head|auxiliary_head)', path
    ):
        return registry.MODELS
    if path == 'optim_wrapper':
        return registry.OPTIM_WRAPPERS
    if path == 'optim_wrapper.optimizer':
        return registry.OPTIMIZERS
    if re.fullmatch(r'(default_hooks\.\w+|custom_hooks\[\d+\])', path):
        return registry.HOOKS
    if path == 'log_processor':
        return registry.LOG_PROCESSORS
    return registry.VISUALIZERS if last == 'visualizer' else None


def _names(registry: Any) -> list[str]:
    """List what is registered, under the names that a config uses."""
    names = [f'{registry.scope}.{name}' for name in registry.module_dict]
    return [*registry.module_dict, *names, *(registry.parent or registry).module_dict]


def accepted_keys(built: Any) -> frozenset[str] | None:
    """Collect the keyword arguments of a class or function; None where this is uncertain.

    ``**kwargs`` of our own classes are followed to the base class.
    """
    if not inspect.isclass(built):
        taken = inspect.signature(built).parameters.values()
        return None if _open(taken) else frozenset(p.name for p in taken)
    keys: set[str] = set()
    for cls in built.__mro__:
        if '__init__' not in vars(cls):
            continue
        parameters = list(inspect.signature(vars(cls)['__init__']).parameters.values())[1:]
        keys |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not _open(parameters):
            return frozenset(keys)
        if not cls.__module__.startswith('mssdf.'):
            return None
    return None


def _open(parameters: Collection[inspect.Parameter]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in parameters)


def _refuse_unknown(path: str, node: Mapping[str, Any], accepted: Collection[str]) -> None:
    for key in node:
        if key not in accepted:
            near = difflib.get_close_matches(key, accepted, n=1)
            expected = near[0] if near else f'one of {", ".join(sorted(accepted))}'
            raise UnknownKeyError(f'{path}.{key}', expected, Words('a key that does not exist'))


def explain(error: BaseException, config: Mapping[str, Any]) -> str:
    """Describe an error of building in one line, with the dotted path of its key.

    Args:
        error: error of a constructor, ours or another package's.
        config: config that was built.
    """
    message = one_line(error)
    config = dict(config.items())  # MMEngine's Config is not a Mapping
    if isinstance(error, ConfigError):
        path = _only_path(error.key, config)
        return f'{path}: {error.problem}' if path and error.problem else message

    # Python gives the name of such an argument in its message alone
    refused = re.search(r"unexpected keyword argument '(\w+)'", message)
    if isinstance(error, TypeError) and refused:
        path = _only_path(refused.group(1), config)
        if path:
            return f'{path}: expected a key that exists, found another; {message}'
    return f'{type(error).__name__}: {message}' if type(error).__name__ not in message else message


def _only_path(key: str, config: Mapping[str, Any]) -> str | None:
    """Find the dotted path of a key; None where it stands nowhere, or at several places."""
    found = [path for path in paths(config) if path == key or path.endswith(f'.{key}')]
    return found[0] if len(found) == 1 else None


def paths(node: Any, prefix: str = '') -> Iterator[str]:
    """Yield the dotted path of every key in a node."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            path = f'{prefix}.{key}' if prefix else str(key)
            yield path
            yield from paths(value, path)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from paths(value, f'{prefix}[{i}]')
