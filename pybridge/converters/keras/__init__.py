"""Keras 3 models as TF.js layers models.

``registry`` knows the exact rewrites (``rewrites``), ``stock`` the classes that both share, ``wrappers`` the layers that hold
layers; ``conversion`` walks through the model and asks them in this order; ``call`` and ``emitter`` are what they write with.
"""

from __future__ import annotations

from typing import Any

from pybridge.converters.to_keras import keras_origin
from pybridge.errors import ModelFormatError
from pybridge.tfjs.layers_model import LayersModel


def from_keras(model: Any) -> LayersModel:
    """Convert a built Keras 3 model into a TF.js layers model.

    Layers that TF.js has are written as they are. Others are rewritten exactly into layers that it has, or become classes of our
    own, which ``LayersModel.write`` puts beside the model. The model is not changed.

    Args:
        model: A Sequential or Functional ``keras.Model``: with branches, several inputs and outputs (a dict counts in the order
            of ``model.inputs``), shared layers and models inside. Its optimizer, loss and metrics go along where TF.js has them.

    Returns:
        The model; ``keras_origin.recover`` makes the same Keras model of it again, also after further training in TF.js.

    Raises:
        ModelFormatError: It is not built or not made of layers, or some of its layers have no exact counterpart; each is named
            with the reason and the alternative.

    Example:
        >>> model = keras.applications.MobileNetV2(weights=None)
        >>> from_keras(model).write(Path("mobilenet"))
    """
    from pybridge.converters.keras.compiled import training_config
    from pybridge.converters.keras.conversion import Conversion

    conversion = Conversion(model)
    container = conversion.run()
    weights = container.all_weights()
    arrays = {name: weight.value for name, weight in weights.items()}
    topology = container.sequential() if type(model).__name__ == "Sequential" and container.is_chain else container.topology()
    _check_json(topology, str(model.name))
    compiled = training_config(model, [symbol.layer for symbol in container.outputs])
    origin = keras_origin.record(model, conversion.variables.kept)
    metadata = {keras_origin.KEY: origin} if origin is not None else {}
    return LayersModel(topology, arrays, metadata, compiled)


def _check_json(topology: dict[str, Any], name: str) -> None:
    import json

    try:
        json.dumps(topology, allow_nan=False)
    except ValueError as error:
        raise ModelFormatError(
            f"the model {name!r} has a layer with an option that is infinite or not a number",
            hint="model.json cannot hold such numbers: use a large finite one.",
        ) from error
