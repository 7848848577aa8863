"""Zoos and the world: import, export, publishing, merging, comparing."""
