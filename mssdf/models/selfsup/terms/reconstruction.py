"""L_rec: the teacher's features of hidden patches (method.md, sections 5 and 6)."""

from torch import Tensor

from mssdf.structures import MaskedBatch

from ...losses import masked_feature_loss
from ..forward import Forward
from .base import Needs, WindowTerm, total


class ReconstructionTerm(WindowTerm):
    """L_rec between the predicted and the teacher's features, summed over the modalities."""

    names = ('rec',)
    needs = Needs(decoder=True, prediction=True, apart=True, teacher=True)

    def per_window(self, forward: Forward, batch: MaskedBatch) -> Tensor:
        """Compute L_rec of each window (B,)."""
        predicted, targets = forward.predicted, forward.targets
        return total(
            masked_feature_loss(predicted[name], one.pick(targets[name]), one.hidden)
            for name, one in forward.decoded.items()
        )
