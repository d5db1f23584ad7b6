"""Plugins of kind runtime: one module each, found by its file name."""
