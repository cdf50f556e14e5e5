"""Gradient descent, plain and with momentum; test_settings_equal_keras has Nesterov's."""

from __future__ import annotations

from typing import Any

from optimizer_promises import OptimizerPromises


class TestSGD(OptimizerPromises):
    options = {"optimizer": "sgd"}  # noqa: RUF012
    tfjs = ("SGD", {})

    def step(self, gradient: Any, memory: dict[str, Any], number: int) -> Any:
        return gradient

    def in_keras(self, **options: Any) -> Any:
        import keras

        return keras.optimizers.SGD(**options)


class TestMomentum(OptimizerPromises):
    options = {"optimizer": "sgd", "momentum": 0.9}  # noqa: RUF012
    tfjs = ("Momentum", {"momentum": 0.9, "use_nesterov": False})

    def step(self, gradient: Any, memory: dict[str, Any], number: int) -> Any:
        memory["velocity"] = 0.9 * memory["velocity"] + gradient
        return memory["velocity"]

    def in_keras(self, **options: Any) -> Any:
        import keras

        return keras.optimizers.SGD(momentum=0.9, **options)
