"""Models of other frameworks as TF.js layers models, and back into Keras.

``keras``, ``torch``, ``onnx`` and ``tensorflow`` read what their framework writes. Each has a ``conversion``, which walks through
the graph, and a folder in which functions declare what they convert (``operations``, for Keras ``rewrites``); all of them in a
``registry`` of one kind. ``building`` makes the layers for the last three; ``to_keras`` is the way back. What cannot be exact is
refused by name (``refusals``).
"""
