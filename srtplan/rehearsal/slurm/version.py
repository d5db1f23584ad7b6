"""The Slurm release whose behaviour the stand-ins follow; what ``--version`` prints."""

VERSION = "slurm 22.05.8"
