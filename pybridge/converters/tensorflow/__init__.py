"""Frozen TensorFlow graphs as TF.js layers models."""
