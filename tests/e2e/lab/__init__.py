"""A small internet in one network namespace: DNS, certificate authorities, mail servers, and the box under test.

The process that imports this enters a namespace of its own (net.enter), so that every socket and child process lives there, two runs never
meet, and everything is gone when the process ends. The plan of addresses is in net.py.
"""
