"""Stand-ins for srun, sbatch, scancel, squeue and scontrol, and the small controller behind them."""
