"""The teacher is neither built nor run for nothing, ramps in shares, starting weights."""

import pytest
import torch

from mssdf.checkpoints import CheckpointError
from mssdf.models.selfsup.loss_terms import LossTerm, parse_loss_terms

from .tiny import ALL_LOSSES, tiny_batch, tiny_config, tiny_model


def count_calls(module) -> list:
    calls = []
    module.register_forward_hook(lambda *args: calls.append(1))
    return calls


def test_the_teacher_runs_only_while_its_term_weighs_something():
    model = tiny_model(losses=ALL_LOSSES, ramps=dict(rec=(10, 20)))
    calls = count_calls(model.teacher)
    batch = model.data_preprocessor(tiny_batch(2))
    for iteration, expected in ((0, 0), (10, 0), (11, 1), (25, 2)):
        model.set_progress(iteration)
        losses = model.loss(**batch)
        assert len(calls) == expected
        assert ('rec' in losses) == (iteration > 10)
        losses['loss'].backward()
        # DDP waits for every parameter
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
        assert all(p.grad.isfinite().all() for p in model.feature_head.parameters())
        model.zero_grad(set_to_none=True)
    assert tiny_model(losses=ALL_LOSSES | dict(rec=0.0)).teacher is None


@pytest.mark.parametrize(
    ('names', 'losses', 'pairwise'),
    [
        (('rgb', 'dsm'), dict(rec=1.0, align=0.5), dict(features='encoder')),
        (('rgb', 'dsm'), dict(rec=1.0), {}),
        (('rgb',), dict(rec=1.0, align=0.5), {}),
    ],
)
def test_what_sleeps_is_not_run_and_still_has_a_gradient(names, losses, pairwise):
    model = tiny_model(
        names,
        losses=dict.fromkeys(ALL_LOSSES, 0.0) | losses,
        ramps=dict(rec=(10, 20)),
        pairwise=pairwise,
    )
    calls = count_calls(model.modality_decoder)
    batch = model.data_preprocessor(tiny_batch(2, names))
    for iteration, runs in ((0, 0), (15, 1)):
        model.set_progress(iteration)
        model.loss(**batch)['loss'].backward()
        assert len(calls) == runs
        gradients = [p.grad for p in model.parameters() if p.requires_grad]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        model.zero_grad(set_to_none=True)


def test_a_single_modality_needs_a_term_of_its_own():
    with pytest.raises(ValueError, match='losses: expected a term that one modality alone'):
        tiny_model(('rgb',), losses=dict.fromkeys(ALL_LOSSES, 0.0) | dict(align=1.0))


def test_ramps_in_shares_mean_the_same_at_every_length():
    term = LossTerm(2.0, (0.25, 0.75))
    for length in (40, 4000):
        weights = [term.at(round(share * length), length) for share in (0, 0.25, 0.5, 0.75, 1)]
        assert weights == pytest.approx([0.0, 0.0, 1.0, 2.0, 2.0])
    assert LossTerm(2.0, (0, 1)).at(1) == 2.0  # integers count iterations
    assert LossTerm(2.0, (0.0, 1)).at(1, 100) == pytest.approx(0.02)
    assert LossTerm(1.0, (5, 5)).at(4) == 0.0
    assert LossTerm(1.0, (5, 5)).at(5) == 1.0
    with pytest.raises(ValueError, match='length of training'):
        term.at(3)
    with pytest.raises(ValueError, match=r'ramps\.rec: expected iterations'):
        parse_loss_terms(dict(rec=1.0), dict(rec=(0.5, 2000)))


def test_the_runner_tells_the_length_of_training():
    from mssdf.engine.hooks import ProgressHook

    model = tiny_model(losses=ALL_LOSSES, ramps=dict(rec=(0.5, 1.0)))
    runner = type('Runner', (), dict(model=model, iter=75, max_iters=100))()
    ProgressHook().before_train_iter(runner, 0)
    assert model.terms['rec'].at(model.iteration, model.max_iters) == pytest.approx(0.5)


def start(tmp_path, names=('rgb', 'dsm', 'ms'), **settings):
    """A model that starts from another one's checkpoint, and the other one."""
    from mssdf.registry import MODELS

    embedding = {'embedding.type': 'mssdf.PerModalityPatchEmbedding'}
    donor = tiny_model(('rgb', 'dsm'), seed=9, **embedding)
    path = tmp_path / 'donor.pth'
    torch.save(dict(state_dict=donor.state_dict()), path)
    model = MODELS.build(
        tiny_config(names, **embedding, **settings, teacher=dict(checkpoint=str(path)))
    )
    torch.manual_seed(0)
    model.init_weights()
    return model, donor


@pytest.mark.parametrize('rec', [1.0, 0.0])
def test_student_and_teacher_both_start_from_a_checkpoint(tmp_path, rec):
    model, donor = start(tmp_path, **{'losses.rec': rec})
    encoders = [(model.backbone, model.embedding)]
    if rec:
        encoders.append((model.teacher.backbone, model.teacher.embedding))
    for backbone, embedding in encoders:
        for name, value in donor.backbone.state_dict().items():
            assert torch.equal(backbone.state_dict()[name], value)
        for name, value in donor.embedding.state_dict().items():
            assert torch.equal(embedding.state_dict()[name], value)
        fresh = embedding.projections['ms'].weight  # the file has no such modality
        assert fresh.any()
        assert torch.equal(fresh, model.embedding.projections['ms'].weight)


def test_a_checkpoint_of_another_shape_is_refused_whole(tmp_path):
    with pytest.raises(CheckpointError, match='not loaded whole'):
        start(tmp_path, **{'backbone.arch.num_layers': 2})
