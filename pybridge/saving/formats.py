"""Formats that models are written in. Light to import, as the command line offers the choice."""

from typing import Literal, get_args

Format = Literal["tfjs_layers", "tfjs_graph", "saved_model", "keras"]
"""TensorFlow.js's two, TensorFlow's for any language, and a Keras 3 file."""

FORMATS: tuple[Format, ...] = get_args(Format)
