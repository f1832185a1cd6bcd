"""The WebSocket protocol without I/O: no sockets, no threads, no clock.

Everything here is driven with values, bytes and a clock reading that the caller passes in, so the
threaded and the asyncio drivers take their decisions from the same place. Import from the
submodules; they depend on each other downwards and on nothing above this package.
"""
