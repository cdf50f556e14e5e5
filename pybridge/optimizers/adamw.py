"""AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pybridge.optimizers.adam import Adam
from pybridge.optimizers.optimizer import Optimizer


class AdamW(Adam):
    """Adam with a decoupled weight decay, which every optimizer can have here; it has one where none is asked for."""

    name = "adamw"
    keras = "AdamW"
    tfjs: ClassVar = {}
    # As in Keras.
    weight_decay = 0.004

    def in_tfjs(self, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Refuses: TF.js has no weight decay."""
        return Optimizer.in_tfjs(self, options)


OPTIMIZER = AdamW()
