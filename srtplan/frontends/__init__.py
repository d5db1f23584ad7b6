"""Plugins of kind frontend: one module each, found by its file name."""
