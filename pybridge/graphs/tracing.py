"""Traces preprocessing and models into SavedModels. Imports TensorFlow, so it runs in the TensorFlow process only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pybridge.converters.to_keras import to_keras
from pybridge.data.preprocessing import Preprocessing
from pybridge.graphs.folding import fold_affine
from pybridge.graphs.portions import gains_by_portions, in_portions
from pybridge.graphs.program import Program, Signature
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.port import Port


def trace_preprocessing(preprocessing: Preprocessing, folder: Path) -> Program:
    """Traces decoding, orientation, cropping, resizing and scaling.

    Signature ``files`` takes encoded images (JPEG, PNG, GIF, BMP) with their EXIF orientations, ``pixels`` takes decoded
    ``uint8`` images of one size. Both take a crop box for each image, ``[y0, x0, y1, x1]`` as shares of the area that the
    preprocessing keeps, whether to mirror it, and a factor for its brightness; ``[0, 0, 1, 1]``, False and 1 leave the image
    as it is. The output is ``float32`` of shape ``(images, height, width, 3)``. `Preprocessing` says what is computed.
    """
    height, width = preprocessing.height, preprocessing.width

    def crop_resize_scale(image: tf.Tensor, box: tf.Tensor, flip: tf.Tensor, brightness: tf.Tensor) -> tf.Tensor:
        target = tf.constant([height, width], tf.float32)
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        kept = target * tf.reduce_min(size / target) if preprocessing.crop == "centre" else size
        kept *= preprocessing.crop_fraction
        wanted = (box[2:] - box[:2]) * kept
        # ScaleAndTranslate gives black where a box of less than a pixel has its middle outside of the image.
        extent = tf.maximum(wanted, 1.0)
        origin = (size - kept) / 2.0 + box[:2] * kept - (extent - wanted) / 2.0
        origin = tf.clip_by_value(origin, 0.0, size - extent)
        scale = target / extent
        resized = tf.raw_ops.ScaleAndTranslate(
            images=image[tf.newaxis],
            size=[height, width],
            scale=scale,
            translation=-origin * scale,
            kernel_type="triangle",
            antialias=True,
        )[0]
        mirrored = tf.cond(flip, lambda: tf.reverse(resized, [1]), lambda: resized)
        lit = tf.clip_by_value(mirrored * brightness, 0.0, 255.0)
        if preprocessing.channel_order == "bgr":
            lit = lit[..., ::-1]
        return (lit - tf.constant(preprocessing.mean, tf.float32)) / tf.constant(preprocessing.std, tf.float32)

    def from_file(arguments: tuple[tf.Tensor, ...]) -> tf.Tensor:
        encoded, orientation, *view = arguments
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        return crop_resize_scale(_upright(image, orientation), *view)

    def from_pixels(arguments: tuple[tf.Tensor, ...]) -> tf.Tensor:
        return crop_resize_scale(*arguments)

    def mapped(one: Any) -> Any:
        output = tf.TensorSpec((height, width, 3), tf.float32)
        return lambda *arguments: tf.map_fn(one, arguments, fn_output_signature=output, parallel_iterations=32)

    view = [("boxes", tf.float32, (None, 4)), ("flips", tf.bool, (None,)), ("brightness", tf.float32, (None,))]
    return _save(
        folder,
        {
            "files": (
                mapped(from_file),
                [("images", tf.string, (None,)), ("orientations", tf.int32, (None,)), *view],
            ),
            "pixels": (mapped(from_pixels), [("images", tf.uint8, (None, None, None, 3)), *view]),
        },
    )


def trace_model(model: LayersModel, folder: Path) -> Program:
    """Traces a model in inference mode, its weights folded into constants.

    Signature ``default`` takes the model's inputs, in its own order, types and shapes.
    """
    model_of_keras = to_keras(model)
    return trace_keras(model_of_keras, folder, by_portions=gains_by_portions(model_of_keras))


def trace_keras(keras_model: Any, folder: Path, *, by_portions: bool = False) -> Program:
    """Traces a Keras model, as `trace_model` does; Keras must run on TensorFlow.

    Args:
        keras_model: Any model whose inputs are tensors.
        folder: Where to.
        by_portions: Whether it runs on a few images at a time; see `gains_by_portions`.
    """
    inputs = [
        ("inputs" if len(keras_model.inputs) == 1 else f"input_{position}", tf.as_dtype(tensor.dtype), tuple(tensor.shape))
        for position, tensor in enumerate(keras_model.inputs)
    ]
    structure = getattr(keras_model, "_inputs_struct", None)

    def infer(*tensors: tf.Tensor) -> list[tf.Tensor]:
        # A functional model may be called by names; its structure says how.
        given = keras.tree.pack_sequence_as(structure, list(tensors)) if structure is not None else tensors[0]
        return [tf.convert_to_tensor(output) for output in tf.nest.flatten(keras_model(given, training=False))]

    return _save(folder, {"default": (infer, inputs)}, by_portions=by_portions)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Undoes an EXIF orientation (1 to 8; table in CIPA DC-008, tag 0x0112)."""
    turns: list[Any] = [
        lambda: image,
        lambda: tf.reverse(image, [1]),
        lambda: tf.reverse(image, [0, 1]),
        lambda: tf.reverse(image, [0]),
        lambda: tf.transpose(image, [1, 0, 2]),
        lambda: tf.reverse(tf.transpose(image, [1, 0, 2]), [1]),
        lambda: tf.reverse(tf.transpose(image, [1, 0, 2]), [0, 1]),
        lambda: tf.reverse(tf.transpose(image, [1, 0, 2]), [0]),
    ]
    turned = tf.switch_case(tf.clip_by_value(orientation, 1, 8) - 1, turns)
    turned.set_shape((None, None, 3))
    return turned


def _save(
    folder: Path,
    functions: dict[str, tuple[Any, list[tuple[str, Any, tuple[int | None, ...]]]]],
    *,
    by_portions: bool = False,
) -> Program:
    """Freezes each function into one graph and saves them side by side, without variables."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signatures: dict[str, Signature] = {}
    graph = tf.Graph()
    for signature_name, (function, inputs) in functions.items():
        specs = [tf.TensorSpec(shape, dtype, name=name) for name, dtype, shape in inputs]
        frozen = convert_variables_to_constants_v2(tf.function(function).get_concrete_function(*specs))
        folded = fold_affine(frozen.graph, [output.op.name for output in frozen.outputs])
        if by_portions:
            frozen, folded = _by_portions(frozen, folded, specs[0])
        with graph.as_default():
            tf.import_graph_def(folded, name=signature_name)
        signatures[signature_name] = Signature(
            inputs=tuple(_spec(signature_name, name, tensor) for (name, _, _), tensor in zip(inputs, frozen.inputs, strict=True)),
            output=_spec(signature_name, "output", frozen.outputs[0]),
            others=tuple(_spec(signature_name, f"output_{i}", output) for i, output in enumerate(frozen.outputs[1:], 1)),
        )
    shutil.rmtree(folder, ignore_errors=True)
    with tf.compat.v1.Session(graph=graph) as session:
        builder = tf.compat.v1.saved_model.builder.SavedModelBuilder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
    program = Program(folder, signatures)
    program.write_manifest()
    return program


def _by_portions(whole: Any, definition: Any, spec: tf.TensorSpec) -> tuple[Any, Any]:
    """The function of one tensor that a graph computes, as one that runs the graph on portions; and its graph."""

    def network(portion: tf.Tensor) -> tf.Tensor:
        given = {whole.inputs[0].name: portion}
        return tf.graph_util.import_graph_def(definition, given, [whole.outputs[0].name], name="")[0]

    shape = whole.outputs[0].shape
    function = tf.function(lambda x: in_portions(network, x, shape), autograph=False).get_concrete_function(spec)
    return function, function.graph.as_graph_def()


def _spec(signature_name: str, name: str, tensor: tf.Tensor) -> Port:
    return Port(name, tuple(tensor.shape.as_list()), tensor.dtype.name, f"{signature_name}/{tensor.name}")
