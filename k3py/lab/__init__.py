"""Several Raspberry Pis on one Linux machine, to try and to test with. Uses `base` only.

A lab node is a busybox init in namespaces of its own (mount, pid, net, uts, ipc, cgroup)
on a disk of its own; the kernel and what is installed under /usr are the machine's.

    172.30.0.1 ── bridge pilan0 ─┬─ pi1 172.30.0.11   server
    (this machine, the registry) ├─ pi2 172.30.0.12   agent
                                 └─ pi3 172.30.0.13   agent
"""
