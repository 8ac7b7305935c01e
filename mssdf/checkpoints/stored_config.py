"""Configs stored in checkpoints: data, parsed without running them."""

import ast
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mssdf.errors import CheckpointError

LIBRARIES = ('mmengine', 'mmcv', 'mmpretrain', 'mmseg', 'mmdet', 'mmrotate', 'mssdf')
NUMBERS = dict(inf=math.inf, nan=math.nan)
PLAIN = (str, int, float, bool, type(None))
# Keys that build the model of a published file, and give its seed.
PUBLISHED = ('model', 'data_preprocessor', 'default_scope', 'randomness')
# Initializers that read no file.
RANDOM_INITIALIZERS = frozenset(
    'Constant Xavier Normal TruncNormal Uniform Kaiming Caffe2Xavier'.split()
)
FILE_KEYS = ('checkpoint', 'pretrained')
# Keys whose values registries look up; an unknown name makes them import what it leads to.
NAME_KEYS = ('type', 'conv_type', 'padding_mode')
MOST_LEVELS = 100  # limit of nesting, as later functions on configs recurse once per level
SCOPE_KEYS = ('_scope_', 'default_scope')


def parse_config(text: str) -> dict[str, Any]:
    """Parse the text of a config of literals, without running it.

    Args:
        text: JSON, or Python as MMEngine writes a config: ``name = value`` with numbers, strings,
            None, lists, tuples, sets, ``dict(...)`` and ``{...}`` as values.

    Raises:
        ValueError: if the text is anything else, in one line.
    """
    try:
        if text.lstrip().startswith('{'):
            config = dict(json.loads(text))
        else:
            config = dict(map(_assignment, ast.parse(text).body))
        _check_levels(config, MOST_LEVELS)
    except SyntaxError as error:
        place = f'line {error.lineno}: ' if error.lineno else ''
        raise ValueError(f'{place}{error.msg}') from None
    except (RecursionError, MemoryError):
        raise ValueError('nested too deeply') from None
    return config


def _check_levels(node: Any, left: int) -> None:
    """Refuse a config that is nested too deeply."""
    if not left:
        raise RecursionError
    inner = node.values() if isinstance(node, dict) else node
    if isinstance(node, (dict, list, tuple)):
        for each in inner:
            _check_levels(each, left - 1)


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, _value(value)
    raise _refusal(statement)


def _value(node: ast.expr) -> Any:
    """Evaluate a literal; refuse any other expression."""
    match node:
        case ast.Constant(value=value) if type(value) in PLAIN:
            return value
        case ast.Name(id=name) if name in NUMBERS:
            return NUMBERS[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            number = _value(operand)
            if type(number) in (int, float):
                return -number if isinstance(sign, ast.USub) else number
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_key(item) for item in items}
        case ast.Dict(keys=keys, values=values):
            return _mapping(keys, values)
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords):
            return _keywords(keywords)
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as first], keywords=keywords):
            return _value(first) | _keywords(keywords)

    raise _refusal(node)


def _mapping(keys: list[ast.expr | None], values: list[ast.expr]) -> dict[Any, Any]:
    found = {}
    for key, value in zip(keys, values, strict=True):
        if key is None:  # **unpacked
            raise _refusal(value)
        found[_key(key)] = _value(value)
    return found


def _keywords(keywords: list[ast.keyword]) -> dict[str, Any]:
    found = {}
    for keyword in keywords:
        if keyword.arg is None:  # **unpacked
            raise _refusal(keyword.value)
        found[keyword.arg] = _value(keyword.value)
    return found


def _key(node: ast.expr) -> Any:
    """Evaluate a literal that can be hashed."""
    key = _value(node)
    if not isinstance(key, PLAIN):
        raise _refusal(node)
    return key


def _refusal(node: ast.stmt | ast.expr) -> ValueError:
    """Make an error that names the line and the text of a node."""
    found = ' '.join(ast.unparse(node).split())[:60]
    return ValueError(f'line {node.lineno}: expected literals alone, found {found!r}')


def stored_config(content: Mapping[str, Any], path: str | Path) -> dict[str, Any] | None:
    """Return the config that a checkpoint stores in ``meta.cfg``; None if it stores none.

    Args:
        content: content of the checkpoint.
        path: path of the checkpoint, for errors.

    Raises:
        CheckpointError: if the config is a program, or not the text of a config.
    """
    meta = content.get('meta')
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    if text is None or text == '':
        return None
    try:
        if not isinstance(text, str):
            raise ValueError(f'expected text, found a {type(text).__name__}')
        return parse_config(text)
    except ValueError as error:
        raise CheckpointError(
            path,
            f'meta.cfg: expected a config of literals, which is not run, found another: {error}',
        ) from None


def publishable_config(config: Mapping[str, Any]) -> str:
    """Write the part of a config that others need to build the model.

    Args:
        config: config from :func:`parse_config`.

    Returns:
        Python of literals alone, without data, schedules, hooks and paths of weights.

    Raises:
        ValueError: if that part cannot be written so, or names a function or a package that would
            be imported when the model is built.
    """
    kept = {key: without_files(config[key]) for key in PUBLISHED if key in config}
    if 'randomness' in kept:
        kept['randomness'] = seed_of(config)
    for name in (*_leading_elsewhere(kept), *foreign_scopes(kept)):
        raise ValueError(f'expected names of {", ".join(LIBRARIES)}, found {name[:80]!r}')
    try:
        text = Config(kept).pretty_text.strip()
    except SyntaxError:
        raise ValueError('expected keys that are names, found others') from None
    if not _equal(parse_config(text), kept):  # a key may contain a closing quote
        raise ValueError('expected keys that are names, found others')
    return text


def _equal(first: Any, second: Any) -> bool:
    return repr(_sorted(first)) == repr(_sorted(second))  # where nan equals nan


def _sorted(node: Any) -> Any:
    if isinstance(node, Mapping):
        return sorted((repr(key), _sorted(value)) for key, value in node.items())
    return [_sorted(item) for item in node] if isinstance(node, (list, tuple)) else node


def seed_of(config: Mapping[str, Any]) -> dict[str, int]:
    """Return the seed of a config as its ``randomness``; empty if it has none."""
    randomness = config.get('randomness')
    seed = randomness.get('seed') if isinstance(randomness, Mapping) else None
    return dict(seed=seed) if type(seed) is int else {}


def without_files(node: Any) -> Any:
    """Copy a part of a config without entries that read a file when it is built or initialized."""
    if isinstance(node, Mapping):
        kept = {key: value for key, value in node.items() if key not in FILE_KEYS}
        if 'init_cfg' in kept:
            kept['init_cfg'] = _random_alone(kept['init_cfg'])
        return {key: without_files(value) for key, value in kept.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(without_files(item) for item in node)
    return node


def _random_alone(init_cfg: Any) -> Any:
    if isinstance(init_cfg, (list, tuple)):
        return [one for one in init_cfg if _random_alone(one) is not None]
    return init_cfg if set(types_of(init_cfg)) <= RANDOM_INITIALIZERS else None


def types_of(node: Any) -> Iterator[str]:
    """Yield every name in a part of a config that a registry would look up."""
    for inner, _ in names_of(node, ''):
        yield inner


def names_of(node: Any, scope: str) -> Iterator[tuple[str, str]]:
    """Yield every name in a part of a config that a registry would look up, and its scope.

    Args:
        node: part of a config.
        scope: scope in which names without one are looked up.

    Yields:
        The name as text, and the scope of the part that it stands in.
    """
    if isinstance(node, Mapping):
        scope = str(node.get('_scope_') or scope)
        for key in NAME_KEYS:
            if key in node:
                yield str(node[key]), scope
        for value in node.values():
            yield from names_of(value, scope)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from names_of(item, scope)


def foreign_scopes(node: Any) -> Iterator[str]:
    """Yield scopes in a part of a config that are no libraries, as MMEngine imports them."""
    if isinstance(node, Mapping):
        for key in SCOPE_KEYS:
            if node.get(key) is not None and node[key] not in LIBRARIES:
                yield str(node[key])
        for value in node.values():
            yield from foreign_scopes(value)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from foreign_scopes(item)


def _leading_elsewhere(node: Any) -> Iterator[str]:
    """Yield names that are paths of functions, or of classes in other packages."""
    for name in types_of(node):
        scope, *rest = name.split('.')
        if rest and not (scope in LIBRARIES and rest[-1][:1].isupper()):
            yield name
