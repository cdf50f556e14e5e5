"""Features: what the frozen part of a model gives for each image, computed once, in Node, and kept there."""

from pybridge.features.batches import ImageBatch, image_batches
from pybridge.features.extractor import FeatureExtractor
from pybridge.features.memory import FeatureMemory, parse_memory

__all__ = ["FeatureExtractor", "FeatureMemory", "ImageBatch", "image_batches", "parse_memory"]
