"""Plugins of kind engine: one module each, found by its file name."""
