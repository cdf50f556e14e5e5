"""The engines: what makes trainers in Node."""

from __future__ import annotations

from pybridge.models.layers_model import LayersModel
from pybridge.programs import TensorFlowProcess
from pybridge.programs.training_cache import training_program_for
from pybridge.programs.training_program import TrainingRecipe
from pybridge.runner import Runner
from pybridge.runtime import ensure
from pybridge.training.trainer import ENGINES, NodeTrainer, Trainer, TrainerSettings

_WITH_ACCURACY = {"binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"}


def create_trainer(
    engine: str,
    runner: Runner,
    model: LayersModel,
    settings: TrainerSettings,
    *,
    tensorflow: TensorFlowProcess | None = None,
) -> Trainer:
    """Makes a trainer of the named engine.

    Args:
        engine: ``compiled``: a graph that Python's Keras traces once and Node's TensorFlow runs. ``layers``: TensorFlow.js's
            own gradients and optimizers.
        runner: The Node process that shall train.
        model: What trains, with its initial weights.
        settings: How.
        tensorflow: A TensorFlow process that runs already, for ``compiled`` to trace in; by default one is started where
            the training was never traced before.

    Raises:
        ValueError: There is no such engine.
        ModelFormatError: The engine cannot train such a model.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    if engine == "compiled":
        return _compiled(runner, model, settings, tensorflow)
    return _layers(runner, model, settings)


def recipe_of(settings: TrainerSettings) -> TrainingRecipe:
    """What of the settings is built into the graph of the compiled engine."""
    return TrainingRecipe(
        optimizer=settings.algorithm,
        loss=settings.loss,
        momentum=settings.optimizer == "sgd" and settings.momentum > 0,
        nesterov=settings.nesterov,
        weight_decay=settings.decay > 0,
        global_clipnorm=settings.global_clipnorm is not None,
        label_smoothing=settings.label_smoothing > 0,
        mixup=settings.mixup,
        hold_batch_normalization=settings.hold_batch_normalization,
    )


def _compiled(runner: Runner, model: LayersModel, settings: TrainerSettings, tensorflow: TensorFlowProcess | None) -> Trainer:
    program = training_program_for(model, recipe_of(settings), ensure(), tensorflow)
    parameters = {
        "program": {**program.to_dict(), "accuracy": settings.loss in _WITH_ACCURACY},
        "weights": [model.weights[name] for name in program.weights],
        "seed": settings.graph_seed,
        "numbers": settings.numbers,
    }
    rest = {name: value for name, value in model.weights.items() if name not in program.weights}
    return NodeTrainer(runner.start().connection, "training.createCompiled", parameters, program.weights, rest)


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
    return NodeTrainer(runner.start().connection, "training.create", parameters, names)
