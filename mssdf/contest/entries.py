"""Entries of a contest on the command line: ``NAME=CONFIG:key=value,key=value``."""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENTRY = r'(?:(?P<name>[^=:/]+)=)?(?P<config>[^:]+?\.py)(?::(?P<options>.*))?'


@dataclass(frozen=True)
class Entry:
    """A recipe that takes part.

    Attributes:
        name: name of the entry in tables and files.
        config: path or name of its pre-training config.
        options: settings to override; keys with a dot belong to the config, others to the training.
    """

    name: str
    config: str
    options: dict[str, Any] = field(default_factory=dict)


def parse_value(text: str) -> Any:
    """Parse a number, a tuple, a list, True, False or None; anything else stays text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def split_options(text: str) -> list[str]:
    """Split at the commas outside all brackets."""
    parts, depth = [''], 0
    for letter in text:
        depth += (letter in '([{') - (letter in ')]}')
        if letter == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += letter
    return [part for part in (part.strip() for part in parts) if part]


def parse_options(text: str) -> dict[str, Any]:
    """Parse ``key=value,key=value``.

    Raises:
        ValueError: if a part does not have the form ``key=value``.
    """
    options = {}
    for part in split_options(text):
        key, equals, value = part.partition('=')
        if not equals or not key.strip():
            raise ValueError(f'options: expected key=value,key=value, found {part!r} in {text!r}')
        options[key.strip()] = parse_value(value.strip())
    return options


def parse_entry(text: str) -> Entry:
    """Parse ``CONFIG``, ``NAME=CONFIG`` or ``NAME=CONFIG:key=value,key=value``.

    The name is that of the config's file if none is given.

    Raises:
        ValueError: if the name cannot be part of a file's name or the options are malformed.
    """
    found = re.fullmatch(ENTRY, text)
    if not found:
        raise ValueError(
            f'entry: expected CONFIG.py or NAME=CONFIG.py:key=value,key=value, found {text!r}'
        )
    name = found['name'] or Path(found['config']).stem
    if not re.fullmatch(r'[\w.+-]+', name):
        raise ValueError(f'entry: expected letters, digits and . + - _ in a name, found {name!r}')
    return Entry(name, found['config'], parse_options(found['options'] or ''))
