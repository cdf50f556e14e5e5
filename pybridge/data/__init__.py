"""Images and arrays into batches: folders, splits, encoded files, augmentation, preprocessing."""

from pybridge.data.arrays import as_images, from_arrays, with_labels
from pybridge.data.augmentation import Augmentation
from pybridge.data.dataset import ImageSet
from pybridge.data.encoded import EncodedBatch, EncodedImage, iter_batches, parse_encoded, read_encoded
from pybridge.data.folders import list_images, read_folder
from pybridge.data.preprocessing import Preprocessing
from pybridge.data.samples import load_digits_images, write_folder
from pybridge.data.split import class_weights, stratified_split

__all__ = [
    "Augmentation",
    "EncodedBatch",
    "EncodedImage",
    "ImageSet",
    "Preprocessing",
    "as_images",
    "class_weights",
    "from_arrays",
    "iter_batches",
    "list_images",
    "load_digits_images",
    "parse_encoded",
    "read_encoded",
    "read_folder",
    "stratified_split",
    "with_labels",
    "write_folder",
]
