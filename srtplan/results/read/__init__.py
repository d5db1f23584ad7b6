"""Runs on disk to typed results. In: output folders. Out: summaries, timelines, and what a run did not measure."""
