"""The two transfers of a classifier: a new head on a frozen base, and the unfrozen end of a trained network."""

from __future__ import annotations

import logging
from dataclasses import replace

from pybridge.classifier.inputs import TrainingImages, weights_by_name
from pybridge.data import Augmentation, Preprocessing
from pybridge.loading import BaseModel
from pybridge.session import Session
from pybridge.text import listed
from pybridge.tfjs.cuts import choose_cut, fixed_layers
from pybridge.tfjs.layers_model import LayersModel
from pybridge.tfjs.surgery import layer_names, truncate
from pybridge.training.head import POOLING_LAYER, append_classifier, append_pooling
from pybridge.training.options import ClassifierOptions
from pybridge.training.transfer import Transfer

logger = logging.getLogger(__name__)


def new_head(base: BaseModel, images: TrainingImages, options: ClassifierOptions, session: Session) -> Transfer:
    """The training of a freshly initialised head on a base, all of which stays as it is.

    Args:
        base: The base model.
        images: What to train on, and to judge by.
        options: How; the seed is that of the head's first weights too.
        session: Where the base is traced, if it is not in the cache.
    """
    features = append_pooling(base.model)
    session.start_for([base.preprocessing, features])
    channels = session.programs([base.preprocessing, features])[-1].output_shape[0]
    model = append_classifier(
        features,
        channels,
        len(images.class_names),
        dropout=options.dropout,
        hidden_units=options.hidden_units,
        seed=options.seed,
    )
    transfer = _transfer(model, POOLING_LAYER, base.preprocessing, images, options)
    return replace(transfer, fitted=options.fits_head)


def unfrozen_end(
    model: LayersModel,
    preprocessing: Preprocessing,
    unfreeze: int | float | str,
    images: TrainingImages,
    options: ClassifierOptions,
) -> Transfer:
    """The further training of a classifier, with the last layers of its base.

    Args:
        model: The trained classifier.
        preprocessing: What turns images into its input.
        unfreeze: How much of the base trains; see `ImageClassifier.fine_tune`.
        images: What to train on, and to judge by.
        options: How.

    Raises:
        ModelFormatError: There is no such layer.
    """
    cut = choose_cut(without_head(model), unfreeze)
    _tell_of_fixed_layers(model, cut)
    if options.monitor is None and images.validation is not None:
        # A fine-tuned network is right more often even where it has become too sure of itself, which the loss punishes.
        options = replace(options, monitor="val_accuracy")
    return _transfer(model, cut, preprocessing, images, options)


def without_head(model: LayersModel) -> LayersModel:
    """The base model of a classifier, up to its last feature map."""
    names = layer_names(model)
    return truncate(model, names[names.index(POOLING_LAYER) - 1])


def _transfer(
    model: LayersModel,
    cut: str | None,
    preprocessing: Preprocessing,
    images: TrainingImages,
    options: ClassifierOptions,
) -> Transfer:
    return Transfer(
        model=model,
        cut=cut,
        preprocessing=preprocessing,
        training=images.training,
        validation=images.validation,
        options=options,
        augmentation=Augmentation.parse(options.augment),
        class_weight=weights_by_name(options.class_weight, images.classes, images.class_names),
        skip_unreadable=options.skip_unreadable,
    )


def _tell_of_fixed_layers(model: LayersModel, cut: str | None) -> None:
    fixed = fixed_layers(model, cut)
    if not fixed:
        return
    logger.warning(
        "%d of the unfrozen layers are marked as not trainable and stay as they are: %s%s. If you froze them, unfreeze them "
        "where the model comes from (layer.trainable = True) and train anew.",
        len(fixed),
        listed(fixed[:5]),
        ", ..." if len(fixed) > 5 else "",
    )
