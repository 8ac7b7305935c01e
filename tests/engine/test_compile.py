"""Compiled layers in a run: the same losses and weights."""

import pytest
from mmengine.config import Config
from ranks import Ranks, equal_config, loss_error, sharded, weight_error


@pytest.fixture(scope='module')
def ranks(tmp_path_factory) -> Ranks:
    return Ranks(tmp_path_factory.mktemp('compiled'))


@pytest.fixture(scope='module')
def config(make_config, tmp_path_factory) -> Config:
    config = equal_config(make_config(tmp_path_factory.mktemp('config')))
    config.train_cfg.max_epochs = 1
    config.default_hooks.checkpoint.interval = 6
    return config


@pytest.fixture(scope='module')
def one(ranks, config):
    return ranks.train('one', config)


def compiled(config: Config, backend: str) -> Config:
    config = Config(config.to_dict())
    config.custom_hooks.append(dict(type='mssdf.CompileLayersHook', backend=backend))
    return config


@pytest.mark.slow
@pytest.mark.parametrize('how', ['alone', 'checkpointed', 'sharded'])
def test_losses_and_weights_stay(ranks, config, one, how):
    config = compiled(config, 'aot_eager')
    if how == 'checkpointed':
        config.model.checkpoint_activations = True
    if how == 'sharded':
        config = sharded(config, 'full')
        config.model.checkpoint_activations = True
    run = ranks.train(how, config, 2 if how == 'sharded' else 1)
    assert 'layers are compiled when they first run' in run.log()
    assert loss_error(one.steps(), run.steps()) < 2e-5
    first, second = one.weights('iter_6.pth'), run.weights('iter_6.pth')
    assert weight_error(first, second) < 2e-5
