"""What both drivers need of the operating system: names looked up, TLS, a few system calls.

Nothing here decides anything about WebSocket, and nothing knows which driver it works for.
"""
