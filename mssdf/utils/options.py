"""Options of a config: groups of keys that become typed values, and keys that have moved."""

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from mmengine.logging import print_log

from mssdf.errors import ConfigError, UnknownKeyError

T = TypeVar('T')


def parse_options(kind: type[T], key: str, config: Mapping[str, Any] | None) -> T:
    """Build a dataclass of options from a group of a config.

    Args:
        kind: dataclass with a default for each option; it checks their values.
        key: name of the group, for the error.
        config: values by option; None takes all defaults.

    Returns:
        The options.

    Raises:
        ValueError: if there is no such option, the group is no mapping, or a value is refused.
    """
    return kind(**check_keys(kind, key, config))


def check_keys(kind: type, key: str, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Refuse keys of a group that its dataclass has not.

    Args:
        kind: dataclass of the options.
        key: name of the group, for the error.
        config: values by option; None for none.

    Returns:
        The group as a dictionary of its own.

    Raises:
        ValueError: if there is no such option, or the group is no mapping.
    """
    if config is not None and not isinstance(config, Mapping):
        raise ConfigError(key, 'a dictionary', config)
    known = [field.name for field in fields(kind)]
    unknown = sorted(set(config or ()) - set(known))
    if unknown:
        raise UnknownKeyError(key, f'some of {known}', unknown)
    return dict(config or {})


def check_positive(key: str, value: float) -> None:
    """Refuse a value of an option that is not above 0.

    Args:
        key: dotted name of the option, for the error.
        value: value of the option.

    Raises:
        ValueError: if the value is 0, negative or NaN.
    """
    if not value > 0:
        raise ConfigError(key, 'a positive number', value)


def check_choice(key: str, value: Any, choices: tuple) -> None:
    """Refuse a value of an option that is none of its choices.

    Args:
        key: dotted name of the option, for the error.
        value: value of the option.
        choices: values that are allowed.

    Raises:
        ValueError: for any other value.
    """
    if value not in choices:
        raise ConfigError(key, f'one of {choices}', value)


def move_old_keys(given: Mapping[str, Any], moved: Mapping[str, str]) -> dict[str, Any]:
    """Bring keys of former versions to where they are now, with a warning for each.

    A config of one's own that inherits from a shipped one has both, the old key from itself and the
    new one from its base: the old one holds.

    Args:
        given: arguments by name, as a config gives them.
        moved: new place by old name: ``'name'``, or ``'group.name'`` for a key of a group.

    Returns:
        The arguments under their new names.

    Raises:
        ValueError: if the group that a key belongs to is no mapping.
    """
    arguments = dict(given)
    for old, new in moved.items():
        if old not in arguments:
            continue
        value = arguments.pop(old)
        group, _, name = new.partition('.')
        if name:
            rest = arguments.get(group) or {}
            if not isinstance(rest, Mapping):
                raise ConfigError(group, 'a dictionary', rest)
            value = {**rest, name: value}
        arguments[group] = value
        print_log(f'{old}: this key is {new} now', logger='current', level=logging.WARNING)
    return arguments
