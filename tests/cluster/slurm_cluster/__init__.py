"""The machines of the test cluster are namespaces, and nothing else.

    caller -- login: pid, net, uts, mount and ipc namespace of its own; holds the bridge br0 (10.99.0.1/16),
              |      runs munged and slurmctld; PID 1 is `boot.login`
              +-- node0: the same five namespaces again, eth0 10.99.0.10, own ports, own process table,
              |          own /dev/shm and /tmp; runs slurmd; PID 1 is `node-init`
              +-- node1 ...

The pid namespaces of the nodes are children of login's, so killing login's PID 1 makes the kernel kill every
process of every node: that is the whole shutdown. No namespace has a default route: nothing inside can reach
anything but the cluster itself. The file system is shared by all nodes, as home directories are on a real
cluster, but /dev/shm and /tmp are each node's own: without that `--mpi=pmix` fails, and a directory that was
made on one node only goes unnoticed. GPUs are character device nodes without a driver.

Modules, from the bottom: `config` (what a cluster is), `files` (slurm.conf and its neighbours), `namespaces`
(processes and namespaces of the kernel), `boot` (what runs inside as PID 1), `commands` (what the verbs do).
For tests there are `client` (Cluster, Job) and `leftovers`.
"""
