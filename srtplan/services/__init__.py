"""Plugins of kind service: one module each, found by its file name."""
