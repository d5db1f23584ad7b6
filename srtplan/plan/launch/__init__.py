"""What a job launches.

In: the topology and the commands of the plugins. Out: steps with argv, environment, mounts and srun options; the files
that they read; and the ``#SBATCH`` directives.
"""
