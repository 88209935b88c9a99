"""The guard that keeps a replaying test on this machine, whatever library it uses.

While `blocked` is open, every connection, datagram and name lookup that Python sees here is checked. One that
would leave this machine raises `NetworkBlockedError` before a packet is sent, and is logged. Out of sight are
connections made before, other processes, and extensions that call the system themselves, but for those in `compiled`.
"""

__all__ = ["guard"]
