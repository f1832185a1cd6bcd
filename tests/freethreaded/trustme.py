"""Stands in for trustme on a Python for which it cannot be installed: 3.13t, as cffi refuses that.

The real one runs in another interpreter, which TRUSTME_PYTHON names. This holds as much of its
interface as wsfast and its tests use, and nothing is simulated: the certificates are trustme's.
`make freethreaded` puts this folder into PYTHONPATH where it is needed.
"""

import datetime
import json
import os
import ssl
import subprocess
import tempfile
from pathlib import Path

__all__ = ["CA", "Blob", "LeafCert"]

_NEW = """
import json, trustme
ca = trustme.CA()
print(json.dumps([ca.cert_pem.bytes().decode(), ca.private_key_pem.bytes().decode()]))
"""

_ISSUE = """
import datetime, json, sys, trustme
certificate, key, names, options = json.load(sys.stdin)
for name in {"not_before", "not_after"} & options.keys():
    options[name] = datetime.datetime.fromisoformat(options[name])
leaf = trustme.CA.from_pem(certificate.encode(), key.encode()).issue_cert(*names, **options)
pems = [leaf.private_key_pem, *leaf.cert_chain_pems]
print(json.dumps([pem.bytes().decode() for pem in pems]))
"""


def _run(script: str, given: object = None) -> list[str]:
    # -I: without the folder that this file lies in.
    command = [os.environ["TRUSTME_PYTHON"], "-I", "-c", script]
    done = subprocess.run(
        command, input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True
    )
    pems: list[str] = json.loads(done.stdout)
    return pems


class Blob:
    def __init__(self, text: str) -> None:
        self._data = text.encode("ascii")

    def bytes(self) -> bytes:
        return self._data

    def write_to_path(self, path: "str | os.PathLike[str]") -> None:
        Path(path).write_bytes(self._data)


class CA:
    def __init__(self) -> None:
        certificate, key = self._pems = _run(_NEW)
        self.cert_pem = Blob(certificate)
        self.private_key_pem = Blob(key)

    def issue_cert(
        self,
        *identities: str,
        common_name: str | None = None,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> "LeafCert":
        options: dict[str, str] = {}
        if common_name is not None:
            options["common_name"] = common_name
        if not_before is not None:
            options["not_before"] = not_before.isoformat()
        if not_after is not None:
            options["not_after"] = not_after.isoformat()
        return LeafCert(*_run(_ISSUE, [*self._pems, identities, options]))

    def configure_trust(self, ctx: ssl.SSLContext) -> None:
        ctx.load_verify_locations(cadata=self.cert_pem.bytes().decode("ascii"))


class LeafCert:
    def __init__(self, key: str, *chain: str) -> None:
        self.private_key_pem = Blob(key)
        self.cert_chain_pems = [Blob(pem) for pem in chain]
        self.private_key_and_cert_chain_pem = Blob(key + "".join(chain))

    def configure_cert(self, ctx: ssl.SSLContext) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "leaf.pem")
            path.touch(0o600)
            self.private_key_and_cert_chain_pem.write_to_path(path)
            ctx.load_cert_chain(path)
