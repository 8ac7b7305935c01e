"""The decoder of mmpretrain's MAE with a head that starts from zero."""

from mmpretrain.models.necks import MAEPretrainDecoder
from torch import nn

from mssdf.registry import MODELS


@MODELS.register_module()
class ZeroHeadMAEDecoder(MAEPretrainDecoder):
    """A ``MAEPretrainDecoder`` of mmpretrain's whose first prediction is zero everywhere.

    With the ordinary start, the head predicts noise, and the fastest way down is to silence the
    content in the decoder (method.md, section 6). From zero the loss starts at that of the
    constant. The arguments are those of ``MAEPretrainDecoder``.
    """

    def init_weights(self) -> None:
        """Initialize as MAE does, then set weight and bias of the head to zero."""
        super().init_weights()
        nn.init.zeros_(self.decoder_pred.weight)
        nn.init.zeros_(self.decoder_pred.bias)
