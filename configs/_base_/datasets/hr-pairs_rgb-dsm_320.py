# HR-Pairs: an orthophoto NAME_dom.tif and a surface model NAME_dsm.tif in meters.
_base_ = ['./hr-pairs_rgb_320.py']

# heights relative to the window's median, over a fixed scale in meters; the masking's score takes
# a window's relief as full contrast only from 5 m on
modalities = dict(
    dsm=dict(
        suffix='_dsm.tif',
        bands=[1],
        mean=[0.0],
        std=[10.0],
        relative_to_median=True,
        min_span=5.0,
    )
)
train_dataloader = dict(dataset=dict(modalities=modalities))
