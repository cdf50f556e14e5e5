"""ONNX files as TF.js layers models."""
