"""Submission: a compiled job into Slurm's queue, together with everything that is to be known about it later.

``transaction.submit`` is the whole of it for one job; ``slurm`` runs sbatch and scontrol, ``metadata`` writes down what was
submitted, ``masking`` keeps secrets out of that, ``status`` tells status services.
"""
