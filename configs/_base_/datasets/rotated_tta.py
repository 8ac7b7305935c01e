# The steps of test-time augmentation after resizing, for rotated boxes.
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
flip_and_pack = [
    [
        dict(type='mmdet.RandomFlip', prob=0.0),
        dict(type='mmdet.RandomFlip', prob=1.0, direction='horizontal'),
        dict(type='mmdet.RandomFlip', prob=1.0, direction='vertical'),
        dict(type='mmdet.RandomFlip', prob=1.0, direction='diagonal'),
    ],
    # after resizing and flipping: the truth stays as it is
    [dict(type='mmdet.LoadAnnotations', with_bbox=True, box_type='qbox')],
    [dict(type='ConvertBoxType', box_type_mapping=dict(gt_bboxes='rbox'))],
    [dict(type='mmdet.PackDetInputs', meta_keys=(*meta_keys, 'flip', 'flip_direction'))],
]
