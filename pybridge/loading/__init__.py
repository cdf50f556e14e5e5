"""Every source of a model that a user can name, opened safely.

`find_model` opens it whole, for prediction and further training; `resolve` makes a base of it: a feature extractor with its
preprocessing. Keras files are opened in the TensorFlow process, whose jobs for that are in ``keras_reader`` and ``freezing``.
"""

from pybridge.loading.base_model import BaseModel, resolve
from pybridge.loading.finding import FoundModel, OpenedModel, Shapes, Source, find_model, open_model
from pybridge.loading.lifting import lift
from pybridge.loading.saved_model import SavedModel

__all__ = [
    "BaseModel",
    "FoundModel",
    "OpenedModel",
    "SavedModel",
    "Shapes",
    "Source",
    "find_model",
    "lift",
    "open_model",
    "resolve",
]
