"""Rendering: a Plan becomes a Bundle (``render.py``), a Bundle becomes a directory (``write.py``)."""
