"""The engines: what makes trainers in Node."""

from __future__ import annotations

from pybridge.graphs import TensorFlowProcess
from pybridge.graphs.training.program import TrainingProgram
from pybridge.rpc.runner import Runner
from pybridge.runtime import ensure
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.options import Engine, TrainingOptions
from pybridge.training.preparation import EngineChoice, EnginePreparation
from pybridge.training.trainer import NodeTrainer, Trainer

_WITH_ACCURACY = {"binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"}


def create_trainer(
    engine: Engine | EngineChoice,
    runner: Runner,
    model: LayersModel,
    options: TrainingOptions,
    *,
    tensorflow: TensorFlowProcess | None = None,
) -> Trainer:
    """Makes a trainer.

    Args:
        engine: ``compiled``: a graph that Python's Keras traces once and Node's TensorFlow runs. ``layers``: TensorFlow.js's
            own gradients and optimizers. ``auto``: ``compiled`` where it can train the model, else ``layers``. Or what an
            `EnginePreparation` found for this model and these options.
        runner: The Node process that shall train.
        model: What trains, with its initial weights.
        options: How.
        tensorflow: A TensorFlow process for ``compiled`` to trace in; by default the shared one.

    Raises:
        ValueError: There is no such engine.
        ModelFormatError: The engine cannot train such a model.
    """
    if engine == "layers":
        return _layers(runner, model, options)
    if isinstance(engine, str):
        with EnginePreparation(engine, model, options, ensure(), tensorflow) as preparation:
            engine = preparation.result()
    if engine.program is not None:
        return _compiled(runner, model, options, engine.program)
    return _layers(runner, model, options)


def _compiled(runner: Runner, model: LayersModel, options: TrainingOptions, program: TrainingProgram) -> Trainer:
    parameters = {
        "program": {**program.to_dict(), "accuracy": options.loss in _WITH_ACCURACY},
        "weights": [model.weights[name] for name in program.weights],
        "seed": options.graph_seed,
        "numbers": options.numbers,
    }
    rest = {name: value for name, value in model.weights.items() if name not in program.weights}
    return NodeTrainer("compiled", runner.start().connection, "training.createCompiled", parameters, program.weights, rest)


def _layers(runner: Runner, model: LayersModel, options: TrainingOptions) -> Trainer:
    names = list(model.weights)
    camel = {
        "loss": options.loss,
        "labelSmoothing": options.label_smoothing,
        "seed": options.seed,
        "holdBatchNormalization": options.hold_batch_normalization,
        "optimizer": {
            "name": options.chosen_optimizer.algorithm,
            "learningRate": options.learning_rate,
            "momentum": options.momentum,
            "nesterov": options.nesterov,
            "weightDecay": options.decay,
            "globalClipnorm": options.global_clipnorm or 0.0,
        },
    }
    source = {"topology": model.topology, "names": names, "weights": list(model.weights.values())}
    parameters = {"model": source, "settings": camel}
    return NodeTrainer("layers", runner.start().connection, "training.create", parameters, names)
