"""The transformer layer of encoder and decoders."""

import pytest
import torch
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer

from mssdf.models.utils import EncoderLayer

from .tiny import tiny_batch, tiny_model


def test_is_mmpretrains_layer_on_the_keys_that_are_not_hidden():
    plain = TransformerEncoderLayer(24, 3, 48, drop_rate=0.0).eval()
    names = list(plain.state_dict())
    layer = EncoderLayer(plain)
    assert not layer.training and list(layer.state_dict()) == names
    tokens = torch.randn(2, 7, 24)
    mask = torch.tensor([[True] * 5 + [False] * 2, [True] * 7])
    expected = TransformerEncoderLayer.forward(layer, tokens[:1, :5])
    torch.testing.assert_close(layer(tokens, mask)[:1, :5], expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(layer(tokens), TransformerEncoderLayer.forward(layer, tokens))


@pytest.mark.parametrize('drop', [0.0, 0.2])
def test_activation_checkpointing_changes_nothing_but_memory(drop):
    """Bit for bit, dropout too; and the activations are really not kept."""

    def step(wanted: bool):
        settings = {'backbone.drop_rate': drop, 'backbone.drop_path_rate': drop}
        model = tiny_model(checkpoint_activations=wanted, **settings)
        torch.manual_seed(1)
        inputs = model.data_preprocessor(tiny_batch())['inputs']
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda saved: kept.append(saved.numel()) or saved, lambda saved: saved
        ):
            loss = model.loss(inputs)['loss']
        loss.backward()
        return loss.item(), {n: p.grad for n, p in model.named_parameters()}, sum(kept)

    loss, gradients, kept = step(False)
    again, same, fewer = step(True)
    assert again == loss
    for name, gradient in gradients.items():
        assert gradient is same[name] is None or torch.equal(gradient, same[name]), name
    assert fewer < kept / 2
