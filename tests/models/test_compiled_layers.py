"""What the compiler makes of the transformer layers."""

import pytest
import torch
from torch._dynamo.utils import counters

from mssdf.engine.hooks.compile_layers_hook import compile_layers

from .tiny import tiny_batch, tiny_model


def steps(model) -> list[dict[str, float]]:
    """Losses of four steps whose sequences have different lengths."""
    losses = []
    for step in range(4):
        torch.manual_seed(step)
        model.data_preprocessor.cross_modal_ratio = 0.1 * step
        inputs = model.data_preprocessor(tiny_batch(4, size=128))['inputs']
        found = model.loss(inputs)
        found['loss'].backward()
        losses.append({name: float(value) for name, value in found.items()})
    return losses


@pytest.mark.parametrize('checkpoint_activations', [False, True])
def test_few_graphs_and_no_breaks(checkpoint_activations):
    settings = dict(size=128, checkpoint_activations=checkpoint_activations)
    expected = steps(tiny_model(**settings))
    torch.compiler.reset()
    counters.clear()
    model = tiny_model(**settings)
    layers = compile_layers(model, backend='aot_eager')
    found = steps(model)
    assert len(layers) == 3 + 3 + 2 + 2  # student, teacher, decoders
    assert not counters['graph_break'], counters['graph_break']
    # with and without key mask, with and without gradient, two widths, fixed and free lengths
    assert 2 <= counters['stats']['unique_graphs'] <= 8
    for one, other in zip(expected, found, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6)


def test_names_stay():
    model = tiny_model()
    names = list(model.state_dict())
    compile_layers(model, backend='aot_eager')
    assert list(model.state_dict()) == names


def test_layers_of_another_name():
    with pytest.raises(ValueError, match=r'layers: expected class names of layers of MSSDF'):
        compile_layers(tiny_model(), ['SwinBlock'])
