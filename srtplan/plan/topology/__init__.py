"""Where everything runs.

In: a Recipe. Out: the roles of the nodes, the nodes and GPUs of every worker, its processes with their ports, and the
layout of the frontends. Nothing here knows how a process is started.
"""
