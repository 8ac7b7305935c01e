"""L_inst: whole windows, across modalities and views (method.md, section 6)."""

from dataclasses import dataclass

from torch import Tensor, nn

from mssdf.distributed import (
    gather_windows,
    gather_windows_with_gradient,
    own_windows,
    rank_and_world_size,
)
from mssdf.structures import MaskedBatch
from mssdf.utils.options import check_choice, check_positive

from ...heads import ProjectionHead
from ...losses import instance_loss
from ..forward import Encoded, Forward
from .base import LossTerm, ModelShape, Needs

POOLS = ('mean', 'cls')


@dataclass(frozen=True)
class InstanceOptions:
    """Options of L_inst.

    Attributes:
        pool: feature of a window, ``'cls'`` for its cls token or ``'mean'`` for the mean of its
            visible patch tokens.
        temperature: divisor of the cosine similarities.
        projector: width of the projections that are compared.

    Raises:
        ValueError: for a value that is not allowed.
    """

    pool: str = 'cls'
    temperature: float = 0.1
    projector: int = 128

    def __post_init__(self) -> None:
        check_choice('instance.pool', self.pool, POOLS)
        check_positive('instance.temperature', self.temperature)
        check_positive('instance.projector', self.projector)


class InstanceTerm(LossTerm):
    """L_inst between the modalities of a window, and between two views if there are.

    Args:
        options: options of the term.
    """

    names = ('inst',)
    needs = Needs(second_view=True)
    head: nn.Module

    def __init__(self, options: InstanceOptions) -> None:
        self.options = options

    def build_heads(self, shape: ModelShape) -> dict[str, nn.Module]:
        """Build one projector for all modalities."""
        self.head = ProjectionHead(['all'], shape.width, self.options.projector)
        return dict(instance_head=self.head)

    def compute(self, forward: Forward, batch: MaskedBatch) -> dict[str, Tensor]:
        """Compute L_inst with the windows of all ranks as negatives."""
        views, present = [], []
        seconds = [] if batch.second is None else [(batch.second, forward.second)]
        for view, parts in [(batch, forward.encoded), *seconds]:
            for name, one in parts.items():
                projected = self.head('all', self._pool(one)).float()
                views.append(gather_windows_with_gradient(projected))
                present.append(gather_windows(view.present(name)))

        count = len(forward.encoded)
        if batch.second is None:
            pairs = [(first, second) for second in range(count) for first in range(second)]
        else:
            pairs = [(first, count + second) for first in range(count) for second in range(count)]

        anchors = own_windows(batch.batch_size, batch.score.device)
        loss = instance_loss(views, present, pairs, anchors, self.options.temperature)
        # ranks have different anchors: the mean over them is then the sum over all anchors
        return dict(inst=loss * rank_and_world_size()[1])

    def _pool(self, encoded: Encoded) -> Tensor:
        return encoded.mean_token() if self.options.pool == 'mean' else encoded.cls_token
