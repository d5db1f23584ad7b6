"""The conditions on which a job proceeds.

In: the topology and the steps. Out: preflight checks of every node, probes of services, workers and frontends, and the
sequence of starts and waits.
"""
