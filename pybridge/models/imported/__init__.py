"""Models of other frameworks as layers models: PyTorch, ONNX and frozen TensorFlow graphs.

`builder` and the families of operations beside it write the layers; a front end for each source reads its graph.
"""
