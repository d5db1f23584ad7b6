"""A whole Slurm of stand-ins: the rehearsal's commands, and what only tests need besides: sbatch, a queue, held jobs."""
