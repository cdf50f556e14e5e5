"""Models of other frameworks as TF.js layers models, and back into Keras.

``keras``, ``torch``, ``onnx`` and ``tensorflow`` read what their framework writes; ``building`` makes the layers for the last
three; ``to_keras`` is the way back.
"""
