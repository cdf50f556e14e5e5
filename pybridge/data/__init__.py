"""Images and arrays into batches: folders, splits, encoded files, augmentation, preprocessing."""

from pybridge.data.arrays import as_images, from_arrays, is_pillow_image, with_labels
from pybridge.data.augmentation import Augmentation
from pybridge.data.dataset import ImageSet, Picture
from pybridge.data.encoded import EncodedBatch, EncodedImage, iter_batches, parse_encoded, read_encoded
from pybridge.data.folders import check_image, images_below, list_images, pictures_below, read_folder
from pybridge.data.labelled import Labelling, read_test_images, read_training_images
from pybridge.data.preprocessing import Preprocessing
from pybridge.data.samples import load_digits_images, write_folder
from pybridge.data.split import class_weights, stratified_split
from pybridge.data.tables import is_frame

__all__ = [
    "Augmentation",
    "EncodedBatch",
    "EncodedImage",
    "ImageSet",
    "Labelling",
    "Picture",
    "Preprocessing",
    "as_images",
    "check_image",
    "class_weights",
    "from_arrays",
    "images_below",
    "is_frame",
    "is_pillow_image",
    "iter_batches",
    "list_images",
    "load_digits_images",
    "parse_encoded",
    "pictures_below",
    "read_encoded",
    "read_folder",
    "read_test_images",
    "read_training_images",
    "stratified_split",
    "with_labels",
    "write_folder",
]
