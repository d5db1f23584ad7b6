"""Plugins of kind benchmark: one module each, found by its file name."""
