"""Behaviors: what a rehearsal runs in place of engines, frontends, services and load clients.

A behavior is a module without an underscore, named by what it is, with one function ``main``; the Plan names it
(``stand_in`` of a step or run). Modules with an underscore are what behaviors share.
"""
