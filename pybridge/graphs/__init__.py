"""Programs: what Node computes, traced once from Keras into SavedModels that Python and Node both run.

A program is a folder with a TensorFlow SavedModel that holds no variables, and ``program.json``, which names its signatures.
Python traces it in a process of its own, so that neither TensorFlow's start-up nor its memory burdens the caller.
"""

from pybridge.graphs.cache import are_cached, programs_for
from pybridge.graphs.program import Program, Signature
from pybridge.graphs.reference import run_reference
from pybridge.graphs.tensorflow_process import TensorFlowProcess, shared_tensorflow

__all__ = [
    "Program",
    "Signature",
    "TensorFlowProcess",
    "are_cached",
    "programs_for",
    "run_reference",
    "shared_tensorflow",
]
