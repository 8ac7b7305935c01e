"""Models come out of whatever wraps them."""

import torch
from mmengine.model import BaseModel, BaseTTAModel
from torch import nn

from mssdf.distributed import unwrap


class Plain(BaseModel):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs


class Twice(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return data_samples_list


def test_every_wrapper_is_taken_off():
    model = Plain()
    compiled = torch.compile(model)
    assert compiled is not model and unwrap(compiled) is model
    assert unwrap(nn.DataParallel(compiled)) is model
    assert unwrap(nn.DataParallel(Twice(model))) is model
    assert unwrap(model) is model
