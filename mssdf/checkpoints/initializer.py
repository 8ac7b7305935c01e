"""Strict loading by one line of a config."""

import os
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import update_init_info

from mssdf.errors import CheckpointError
from mssdf.registry import WEIGHT_INITIALIZERS

from .inflate import load_multi_modal
from .strict_load import LoadReport, load_pretrained

NOT_GIVEN = 'not-given'  # placeholder in our configs until a checkpoint is given


@WEIGHT_INITIALIZERS.register_module()
class StrictPretrained:
    """An initializer that loads all weights or raises an error.

    In a config: ``init_cfg=dict(type='mssdf.StrictPretrained', checkpoint=PATH)``.

    Args:
        checkpoint: path of the checkpoint, whose code is not run.
        prefix: prefix of the backbone's keys in the file.
        allow_missing: prefixes of keys that the file may lack.
        allow_unexpected: prefixes of keys that may be left over.
        map_location: ignored, as weights go to the model's device; taken for configs written for
            MMEngine's ``Pretrained``.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike,
        prefix: str = 'backbone.',
        allow_missing: Sequence[str] = (),
        allow_unexpected: Sequence[str] = (),
        map_location: str | None = None,
    ) -> None:
        self.checkpoint = str(checkpoint)
        self.prefix = prefix or ''
        self.allow_missing = allow_missing
        self.allow_unexpected = allow_unexpected

    def __call__(self, module: Any) -> None:
        """Load the weights, and log the report.

        Raises:
            CheckpointError: if the module is not filled completely.
            ValueError: if another initializer would run afterwards and undo the loading.
        """
        if self.checkpoint == NOT_GIVEN:
            raise CheckpointError(
                'init_cfg.checkpoint: expected a pre-training checkpoint (tools/train.py '
                '--checkpoint, or the variable MSSDF_CHECKPOINT), found none'
            )

        given = getattr(module, 'init_cfg', None)
        if isinstance(given, (list, tuple)) and given[-1].get('checkpoint') != self.checkpoint:
            raise ValueError(
                f'init_cfg of {type(module).__name__}: expected {type(self).__name__} as the '
                f'last entry, found {given[-1].get("type")} after it'
            )

        report = self._load(module)
        # MMEngine initializes the children after any initializer but its own ``Pretrained``, and
        # mmpretrain's ViT its positions: both would undo what has just been loaded.
        for child in module.modules():
            child.is_init = True
        module.init_cfg = dict(type='Pretrained', checkpoint=self.checkpoint, prefix=self.prefix)

        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())
        print_log(str(report), logger='current')

    def _load(self, module: Any) -> LoadReport:
        return load_pretrained(
            module,
            self.checkpoint,
            self.prefix,
            allow_missing=self.allow_missing,
            allow_unexpected=self.allow_unexpected,
        )

    def _get_init_info(self) -> str:
        return f'{type(self).__name__}: load from {self.checkpoint}'


@WEIGHT_INITIALIZERS.register_module()
class MultiModalPretrained(StrictPretrained):
    """An initializer like ``StrictPretrained`` for a ``MultiModalVisionTransformer``.

    Patch embeddings of modalities or bands that the checkpoint lacks are derived from its primary
    one, which the log says; every other weight is loaded or an error.

    Args:
        checkpoint: path of the checkpoint, whose code is not run.
        rgb_bands: positions of red, green and blue among the primary modality's bands, if it has
            other bands than in the checkpoint.
        **kwargs: arguments for :class:`StrictPretrained`.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike,
        rgb_bands: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(checkpoint, **kwargs)
        self.rgb_bands = rgb_bands

    def _load(self, module: Any) -> LoadReport:
        return load_multi_modal(
            module,
            self.checkpoint,
            self.prefix,
            rgb_bands=self.rgb_bands,
            allow_missing=self.allow_missing,
            allow_unexpected=self.allow_unexpected,
        )
