"""Frozen data types without logic, imported by every stage."""
