"""LitData's ``index.json``, checked before LitData reads it.

It says how chunks are decoded, and some of LitData's decoders run code (``pickle``), import modules
(``data_spec``) or name folders (``updated_at``). Ours are bytes without compression.
"""

import json
import re
from typing import Any

from .index import ShardIndex

# One item of bytes per sample; a treespec of a single leaf.
LEAF = [1, dict(type=None, context=None, children_spec=[])]
EXPECTED: dict[str, tuple[Any, ...]] = dict(
    data_format=(['bytes'],),
    compression=(None,),
    compression_level=(None,),
    compression_batch_size=(None,),
    ipc_compression=(None,),
    encryption=(None,),
    item_loader=('PyTreeLoader', None),
    types=('bytes', None),
)
MARK = re.compile(r'[0-9a-f]{1,64}')


def check_litdata_index(text: str | bytes, ours: ShardIndex, where: str) -> None:
    """Refuse an index that would let LitData read anything but our shards.

    Args:
        text: content of the file.
        ours: index of the shards beside it.
        where: address of the file, for messages.

    Raises:
        ValueError: if a key does not fit; the error names it.
    """
    try:
        content = json.loads(text)
        config, chunks = content['config'], content['chunks']
        spec = json.loads(config['data_spec'])
        found = [(one['filename'], one['chunk_size'], one['chunk_bytes']) for one in chunks]
        mark = content['updated_at']
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{where}: expected an index of LitData, found {error!r}') from None

    for key, values in EXPECTED.items():
        if config.get(key) not in values:
            _refuse(where, f'config.{key}', values[0], config.get(key))
    if spec != LEAF:
        _refuse(where, 'config.data_spec', LEAF, spec)
    if not isinstance(mark, str) or not MARK.fullmatch(mark):
        _refuse(where, 'updated_at', 'a hash', mark)

    expected = list(zip(ours.files, ours.samples, ours.sizes, strict=True))
    for theirs, mine in zip(found, expected, strict=False):
        if theirs != mine:
            _refuse(where, 'chunks', mine, theirs)
    if len(found) != len(expected):
        _refuse(where, 'chunks', f'{len(expected)} chunks', f'{len(found)}')


def _refuse(where: str, key: str, expected: Any, found: Any) -> None:
    raise ValueError(f'{where}: {key}: expected {expected!r}, found {str(found)[:200]!r}')
