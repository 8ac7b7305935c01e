"""Annotations of a dataset's config, checked before the dataset is built."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.registry import DATASETS

from .class_lists import check_list
from .coco import check_coco
from .dota import check_dota
from .xml_boxes import check_xml

# by the name of the class, or of one that it inherits: the packages need not be installed
CHECKS: dict[str, Callable[[Any], None]] = dict(
    DOTADataset=check_dota,
    DIORDataset=check_xml,
    CocoDataset=check_coco,
    CustomDataset=check_list,
)
OTHER_FORMATS = ('CocoPanopticDataset', 'LVISV05Dataset')  # children of CocoDataset


def check_annotations(config: Mapping[str, Any]) -> None:
    """Read all annotations that a dataset's config names.

    Args:
        config: config of a dataset, or of one around others.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if an annotation does not fit; the error names the file, and the line or entry.
    """
    for leaf in _leaves(config):
        dataset = _unread(leaf)
        names = {each.__name__ for each in type(dataset).__mro__}
        if names.isdisjoint(OTHER_FORMATS):
            for name, check in CHECKS.items():
                if name in names:
                    check(dataset)


def _leaves(config: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(config, Mapping):
        return
    inner = [*config.get('datasets', ()), config.get('dataset')]
    if any(inner):
        for each in inner:
            yield from _leaves(each)
    else:
        yield config


def _unread(config: Mapping[str, Any]) -> Any:
    """Build the dataset without reading; None if it cannot be built, which building tells."""
    try:
        return DATASETS.build(dict(config, lazy_init=True))
    except Exception:  # whatever a constructor raises
        return None
