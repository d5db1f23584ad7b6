"""Read runs from disk. In: output directories. Out: summaries, timelines and workloads."""
