"""Behaviors: what a rehearsal runs in place of engines, frontends, services and load clients.

A behavior is a module with one function ``main``, named by what it simulates. The Plan names it (``stand_in`` of a step or
run). What behaviors share is in ``rehearsal/simulation``.
"""
