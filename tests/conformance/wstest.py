"""Runs Autobahn|Testsuite on loopback: `wstest.py SITE fuzzingserver|fuzzingclient SPEC`.

For Python 2.7, the only one that the suite runs on; `conformance_install.py` fills the folder SITE.
Three things differ from the suite's own `wstest`. It listens on a port of the loopback interface
that the system chooses, and prints "PORT <number>" once it does. It does without TLS, which its
modules import and these runs never use. And it writes its reports as JSON only, not as HTML.
"""

import json
import site
import sys
import types
import unittest


def load(folder):
    """Imports the suite from `folder`, without some of what it would import for nothing."""
    site.addsitedir(folder)
    sys.modules["unittest2"] = unittest  # the backport for Pythons older than this one
    import twisted.internet

    tls = types.ModuleType("twisted.internet.ssl")
    tls.ClientContextFactory = object
    sys.modules[tls.__name__] = twisted.internet.ssl = tls
    from autobahntestsuite import fuzzing

    return fuzzing


def adapt(fuzzing):
    """Sets the differences that the module's documentation lists."""
    from twisted.internet import reactor  # after the suite, which chooses the kind

    def listen(factory, _context):
        port = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
        # It refuses handshakes that name another port than the one it knows.
        factory.setSessionParameters(url="ws://127.0.0.1:" + str(port), server=factory.server)
        print("PORT " + str(port))

    create = fuzzing.FuzzingFactory.createReports
    fuzzing.FuzzingFactory.createReports = lambda self: create(self, produceHtml=False)
    fuzzing.listenWS = listen
    return reactor


def main():
    folder, mode, spec_file = sys.argv[1:]
    fuzzing = load(folder)
    reactor = adapt(fuzzing)
    with open(spec_file) as file:
        spec = json.load(file)
    if mode == "fuzzingserver":
        fuzzing.startServer(spec, webport=0)
    else:
        fuzzing.startClient(spec)
    reactor.run()


if __name__ == "__main__":
    main()
