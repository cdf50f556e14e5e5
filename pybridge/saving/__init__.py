"""Models out: four formats to save a model in, each loaded again and compared before it is kept.

``tfjs_layers`` for `tf.loadLayersModel`, ``tfjs_graph`` for `tf.loadGraphModel`, ``saved_model`` for TensorFlow in any language,
``keras`` for Python.
"""
