"""The inferencers and model functions of mmseg and mmdet on a config, before mssdf is imported.

Usage: ``python inferencer_script.py LIBRARY CONFIG IMAGE WEIGHTS``; prints what they agree on.
"""

import sys

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

library, path, image, weights = sys.argv[1:]
assert 'mssdf' not in sys.modules
config = Config.fromfile(path)  # as a user who has imported nothing of ours
config.model.backbone.init_cfg = None
torch.manual_seed(0)
with DefaultScope.overwrite_default_scope(config.default_scope):
    model = MODELS.build(config.model)
for parameter in model.parameters():
    torch.nn.init.normal_(parameter, std=0.05)
meta = dict(classes=[f'class {i}' for i in range(20)], palette=[[i, i, i] for i in range(20)])
torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)), weights)

if library == 'mmseg':
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    inferencer = MMSegInferencer(model=path, weights=weights, device='cpu')
    found = inferencer(image)['predictions']
    sample = inference_model(init_model(path, weights, device='cpu'), image)
    field = 'pred_depth_map' if 'pred_depth_map' in sample else 'pred_sem_seg'
    expected = getattr(sample, field).data.squeeze().numpy()
else:
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    scope = config.default_scope
    inferencer = DetInferencer(model=path, weights=weights, device='cpu', scope=scope)
    found = np.array(inferencer(image)['predictions'][0]['scores'])
    sample = inference_detector(init_detector(path, weights, device='cpu'), image)
    expected = sample.pred_instances.scores.numpy()
np.testing.assert_allclose(found, expected, atol=1e-5)
print('agree on', found.shape)
