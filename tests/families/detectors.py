"""Detectors small enough for the tests."""

NARROW = {
    'model.neck.out_channels': 32,
    'model.rpn_head.in_channels': 32,
    'model.rpn_head.feat_channels': 32,
    'model.roi_head.bbox_roi_extractor.out_channels': 32,
    'model.roi_head.bbox_head.in_channels': 32,
    'model.roi_head.bbox_head.fc_out_channels': 64,
    'model.train_cfg.rcnn.sampler.num': 64,
    'model.train_cfg.rpn_proposal.nms_pre': 50,
    'model.train_cfg.rpn_proposal.max_per_img': 50,
    'model.test_cfg.rpn.nms_pre': 50,
    'model.test_cfg.rpn.max_per_img': 50,
    'train_cfg.max_epochs': 1,
    'default_hooks.logger.interval': 1,
}
