# Tested as if no image had heights.
_base_ = ['./potsdam_rgb-dsm.py']

test_dataloader = dict(
    dataset=dict(
        pipeline=[
            {{_base_.load_bands}},
            dict(type='mssdf.DropBands', bands=[3]),
            dict(type='LoadAnnotations', reduce_zero_label=True),
            {{_base_.normalize_bands}},
            dict(type='PackSegInputs'),
        ]
    )
)
