"""Certificates for a broker and a client, made by openssl."""

import subprocess
from pathlib import Path

from support.waiting import LIMIT_S


class Certificates:
    """An authority, a server certificate for 127.0.0.1 and one for a client.

    They have what Python 3.13 and newer ask of them: key usage, and the issuer's key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority, self._authority_key = self._self_signed("authority")
        self.stranger, _ = self._self_signed("stranger")
        self.server, self.server_key = self._signed("server", "IP:127.0.0.1")
        self.client, self.client_key = self._signed("client", "DNS:client")

    def _self_signed(self, name: str) -> tuple[Path, Path]:
        certificate, key = self._paths(name)
        self._openssl(
            *("req", "-x509", *_NEW_KEY, "-keyout", str(key), "-out", str(certificate)),
            *("-subj", f"/CN={name}", "-days", "2", "-addext", "keyUsage=critical,keyCertSign"),
        )
        return certificate, key

    def _signed(self, name: str, subject: str) -> tuple[Path, Path]:
        certificate, key = self._paths(name)
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={subject}\nauthorityKeyIdentifier=keyid\n")
        self._openssl(
            *("req", *_NEW_KEY, "-keyout", str(key), "-out", str(request)),
            *("-subj", f"/CN={name}"),
        )
        self._openssl(
            *("x509", "-req", "-in", str(request), "-out", str(certificate), "-days", "2"),
            *("-CA", str(self.authority), "-CAkey", str(self._authority_key), "-CAcreateserial"),
            *("-extfile", str(extensions)),
        )
        return certificate, key

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments],  # noqa: S607 - found on PATH, like the servers of the tests
            cwd=self._folder,
            check=True,
            capture_output=True,
            timeout=LIMIT_S,
        )


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
