# HR-Pairs: an orthophoto NAME_dom.tif and a surface model NAME_dsm.tif in metres.
_base_ = ['./hr-pairs_rgb_320.py']

# heights relative to the window's median, over a fixed scale in metres
modality_statistics = dict(dsm=dict(mean=[0.0], std=[10.0], relative_to_median=True))
train_dataloader = dict(dataset=dict(modalities=dict(dsm=dict(suffix='_dsm.tif', bands=[1]))))
