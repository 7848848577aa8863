"""Hyper-representation models: encoders and decoders of weights, by name. One registry."""
