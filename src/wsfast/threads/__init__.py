"""The driver for threads: sockets and TLS below `wsfast.protocol`'s decisions."""
