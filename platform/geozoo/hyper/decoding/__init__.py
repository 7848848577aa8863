"""Decoded networks: what they answer, and their scores beside trivial decoders."""
