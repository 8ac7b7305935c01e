"""Pictures of masks, scores and features."""

from .feature_pca import FeaturePCA
from .pretrain_panel import PanelData, draw_pretrain_panel, figure_to_array

__all__ = ['FeaturePCA', 'PanelData', 'draw_pretrain_panel', 'figure_to_array']
