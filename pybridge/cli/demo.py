"""The demonstration: real pictures, the default base, training in Node, and what to type next."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pybridge.classifier import ImageClassifier
from pybridge.data import load_digits_images, read_folder, stratified_split, write_folder
from pybridge.parity import prove
from pybridge.training.callbacks import Callback
from pybridge.training.run_directory import RunDirectory

SEED = 0


def run_demo(out: Path | None, say: Callable[[str], None], callbacks: Sequence[Callback] = ()) -> dict[str, Any]:
    """Trains on scikit-learn's pictures of handwritten digits and judges the result on pictures kept aside.

    Args:
        out: Where the pictures and the run go; a new temporary folder by default.
        say: Shows a line to the user.
        callbacks: Told about each step.

    Returns:
        ``accuracy`` on the pictures kept aside, their number, and where the run and the pictures are.

    Raises:
        BridgeError: ``out`` holds something already.
    """
    folder = out or Path(tempfile.mkdtemp(prefix="pybridge-demo-"))
    RunDirectory(folder).check_vacant()
    digits = load_digits_images()
    training, held_out = stratified_split(digits.labels, 0.2, SEED)
    photos = write_folder(digits.take(training), folder / "photos")
    test_photos = write_folder(digits.take(held_out), folder / "test_photos")
    say(f"{len(digits)} pictures of handwritten digits in {len(digits.class_names)} classes, from scikit-learn, in {folder}")
    say("Fitting a head on efficientnet_lite0, in Node.js:")

    with ImageClassifier(base="efficientnet_lite0", seed=SEED) as classifier, classifier.session.tensorflow():
        classifier.fit(photos, run_dir=folder / "run", callbacks=callbacks)
        parity = prove(classifier, folder / "run")
        measured = classifier.evaluate(test_photos)
        say(f"Accuracy on {measured['images']} pictures that training never saw: {measured['accuracy']:.1%}")
        shown = read_folder(test_photos).take(np.random.default_rng(SEED).permutation(measured["images"])[:5])
        probabilities = classifier.predict_proba([Path(shown.source(i)) for i in range(len(shown))])
    if parity is not None and parity.passed:
        say(f"Node and Python give the same probabilities, to the last bit, for {parity.images} pictures.")
    for i, row in enumerate(probabilities):
        best = int(row.argmax())
        say(f"  {Path(shown.source(i)).relative_to(folder)}  ->  {classifier.class_names_[best]}  ({row[best]:.1%})")
    return {
        "accuracy": measured["accuracy"],
        "images": measured["images"],
        "run": str(folder / "run"),
        "photos": str(photos),
        "test_photos": str(test_photos),
    }
