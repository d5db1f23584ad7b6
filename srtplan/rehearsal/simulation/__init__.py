"""What the simulated programs share: an HTTP server, log lines, faults, a load of requests, names of nodes.

In: the environment and the command line of a step. Out: building blocks for the behaviors in ``rehearsal/simulated``.
"""
