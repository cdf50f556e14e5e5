"""AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101); test_settings_equal_keras has its default decay."""

from __future__ import annotations

from typing import Any

from optimizer_promises import OptimizerPromises
from test_adam import adam

from pybridge.training.options import TrainingOptions


class TestAdamW(OptimizerPromises):
    options = {"optimizer": "adamw"}  # noqa: RUF012
    keras_tolerance = 2e-3

    def step(self, gradient: Any, memory: dict[str, Any], number: int) -> Any:
        return adam(gradient, memory, number)

    def in_keras(self, **options: Any) -> Any:
        import keras

        return keras.optimizers.AdamW(**options)


def test_it_decays_where_nothing_else_is_said() -> None:
    assert TrainingOptions(optimizer="adamw").decay == 0.004
    assert TrainingOptions(optimizer="adamw", weight_decay=0.1).decay == 0.1
    assert TrainingOptions(optimizer="adam").decay == 0
