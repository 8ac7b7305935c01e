# ViT-L with parameters, gradients and optimizer spread over the GPUs.
_base_ = ['./mssdf_vit-l-p16_8xb64-amp-coslr-500e_hr-pairs-320.py', '../_base_/fsdp.py']

model = dict(checkpoint_activations=True)
