"""What is started.

In: the topology and what the plugins answer. Out: steps with argv, environment, mounts and srun options; the files
that they read; and the ``#SBATCH`` directives.
"""
