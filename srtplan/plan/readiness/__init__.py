"""What must hold before a job goes on.

In: the topology and the steps. Out: preflight checks for every node, probes of services, workers and frontends, and
the waves in which workers start.
"""
