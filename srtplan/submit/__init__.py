"""Submit a compiled job to Slurm, together with records of what was submitted.

``transaction.submit`` submits one job; ``slurm`` runs sbatch and scontrol, ``metadata`` describes the submission,
``masking`` removes secrets from it, and ``status`` reports to status services.
"""
