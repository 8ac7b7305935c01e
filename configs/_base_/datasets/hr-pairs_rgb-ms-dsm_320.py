# HR-Pairs with multispectral rasters beside: NAME_ms.tif, 16-bit, here four bands (red, green,
# blue, near infrared); change `bands` and the statistics to yours. A scene may lack any of them.
_base_ = ['./hr-pairs_rgb-dsm_320.py']

modalities = dict(
    ms=dict(
        suffix='_ms.tif',
        bands=[1, 2, 3, 4],
        mean=[1000.0, 1000.0, 1000.0, 2500.0],
        std=[600.0, 600.0, 600.0, 1200.0],
    )
)
train_dataloader = dict(dataset=dict(modalities=modalities))
