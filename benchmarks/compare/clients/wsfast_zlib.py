"""wsfast as it is without its extra `speed`: it compresses by the standard library's zlib."""

import sys

if __name__ == "__main__":
    sys.modules["zlib_ng"] = None
    import wsfast_callbacks

    wsfast_callbacks.run()
