"""From a TF.js layers model to a Keras 3 model that computes what TF.js computes.

``build`` walks the graph and calls Keras layers; ``make_layer`` makes one layer from its description (``layer_options``
says which options there are, ``keras_objects`` turns initializers and the like into Keras objects); ``assign`` brings the
weights; ``compile_state`` the optimizer, loss and metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybridge.tfjs.layers_model import LayersModel

if TYPE_CHECKING:
    import keras


def to_keras(model: LayersModel) -> keras.Model:
    """Build the Keras model with the same layers and, bit for bit, the same weights.

    A model that came from Keras by ``from_keras`` becomes what it was, as long as its layers are still the same. A model
    that says how it was compiled is compiled again where Keras knows the parts by name.

    Args:
        model: Any model of the layers of TF.js 4.22 and of pybridge's own. Sequential, nested and shared layers stay so.

    Returns:
        A Keras model with the same inputs, outputs and layer names; characters that Keras refuses in names become ``_``.

    Raises:
        ModelFormatError: For a layer class without a counterpart in Keras, an option that TF.js ignores or gets wrong,
            or weights that do not fit; the message names the layer.

    Example:
        >>> to_keras(LayersModel.read(Path("mobilenet"))).output_shape
        (None, 1000)
    """
    from pybridge.converters.to_keras.allocation import bounded_everywhere
    from pybridge.converters.to_keras.build import build
    from pybridge.converters.to_keras.compile_state import restore_compile_state
    from pybridge.converters.to_keras.recovery import recover
    from pybridge.tfjs.topology import check_topology

    check_topology(model.topology)
    with bounded_everywhere(model.weights):
        known = recover(model)
    if known is not None:
        if not known.compiled:
            restore_compile_state(known, model.training_config)
        return known
    built = build(model)
    restore_compile_state(built, model.training_config)
    return built


__all__ = ["to_keras"]
