"""Stand-ins for srun, scancel, squeue and scontrol, and the keeper of the job that they work on."""
