"""Command lines of load generators and evaluators, and checks of benchmark fields.

In: a recipe with the options of its benchmark, or one load (concurrency, lengths, rate). Out: argv, runs with their result
files, packages to install, inputs to mount, and findings at the fields of ``benchmark``.
"""
