"""srtplan: compile a YAML recipe for distributed LLM inference into a shell bundle for Slurm."""

__version__ = "0.1.0"
