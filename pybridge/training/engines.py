"""The engines: what makes trainers in Node."""

from __future__ import annotations

from pybridge.graphs import TensorFlowProcess
from pybridge.graphs.training.program import TrainingProgram
from pybridge.rpc.runner import Runner
from pybridge.runtime import ensure
from pybridge.tfjs.layers_model import LayersModel
from pybridge.training.preparation import EngineChoice, EnginePreparation
from pybridge.training.trainer import NodeTrainer, Trainer, TrainerSettings

_WITH_ACCURACY = {"binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"}


def create_trainer(
    engine: str | EngineChoice,
    runner: Runner,
    model: LayersModel,
    settings: TrainerSettings,
    *,
    tensorflow: TensorFlowProcess | None = None,
) -> Trainer:
    """Makes a trainer.

    Args:
        engine: ``compiled``: a graph that Python's Keras traces once and Node's TensorFlow runs. ``layers``: TensorFlow.js's
            own gradients and optimizers. ``auto``: ``compiled`` where it can train the model, else ``layers``. Or what an
            `EnginePreparation` found for this model and these settings.
        runner: The Node process that shall train.
        model: What trains, with its initial weights.
        settings: How.
        tensorflow: A TensorFlow process for ``compiled`` to trace in; by default the shared one.

    Raises:
        ValueError: There is no such engine.
        ModelFormatError: The engine cannot train such a model.
    """
    if engine == "layers":
        return _layers(runner, model, settings)
    if isinstance(engine, str):
        with EnginePreparation(engine, model, settings, ensure(), tensorflow) as preparation:
            engine = preparation.result()
    if engine.program is not None:
        return _compiled(runner, model, settings, engine.program)
    return _layers(runner, model, settings)


def _compiled(runner: Runner, model: LayersModel, settings: TrainerSettings, program: TrainingProgram) -> Trainer:
    parameters = {
        "program": {**program.to_dict(), "accuracy": settings.loss in _WITH_ACCURACY},
        "weights": [model.weights[name] for name in program.weights],
        "seed": settings.graph_seed,
        "numbers": settings.numbers,
    }
    rest = {name: value for name, value in model.weights.items() if name not in program.weights}
    return NodeTrainer("compiled", runner.start().connection, "training.createCompiled", parameters, program.weights, rest)


def _layers(runner: Runner, model: LayersModel, settings: TrainerSettings) -> Trainer:
    names = list(model.weights)
    camel = {
        "loss": settings.loss,
        "labelSmoothing": settings.label_smoothing,
        "seed": settings.seed,
        "holdBatchNormalization": settings.hold_batch_normalization,
        "optimizer": {
            "name": settings.algorithm,
            "learningRate": settings.learning_rate,
            "momentum": settings.momentum,
            "nesterov": settings.nesterov,
            "weightDecay": settings.decay,
            "globalClipnorm": settings.global_clipnorm or 0.0,
        },
    }
    source = {"topology": model.topology, "names": names, "weights": list(model.weights.values())}
    parameters = {"model": source, "settings": camel}
    return NodeTrainer("layers", runner.start().connection, "training.create", parameters, names)
