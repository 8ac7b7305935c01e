"""Groups of options of a dataset, put together from a test's defaults and its own."""

from collections.abc import Mapping
from typing import Any


def merged(defaults: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Let options replace defaults, key by key within the groups of the dataset."""
    together = {**defaults, **options}
    for group in ('windows', 'reading', 'index'):
        if defaults.get(group) and options.get(group):
            together[group] = {**defaults[group], **options[group]}
    return together
