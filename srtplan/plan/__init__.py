"""Recipe to Plan: placement, ports, mounts, environment, steps, probes, and the check of the result."""
