"""The image classifier: transfer learning in Node behind the conventions of scikit-learn and Keras."""

from pybridge.classifier.estimator import ImageClassifier

__all__ = ["ImageClassifier"]
