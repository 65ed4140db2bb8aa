"""A certificate authority and a server's certificate, made with openssl for one test run or one demo."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path, names: list[str], days: int = 30) -> Certificates:
    """Make an authority, and a certificate of it for host names and IP addresses (``IP:127.0.0.1``)."""
    folder.mkdir(parents=True, exist_ok=True)
    alternatives = ",".join(name if name.startswith("IP:") else f"DNS:{name}" for name in names)
    authority, authority_key = folder / "ca.crt", folder / "ca.key"
    certificate, key, request = folder / "tls.crt", folder / "tls.key", folder / "tls.csr"
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days)),
        *("-subj", "/CN=documents authority", "-addext", "basicConstraints=critical,CA:TRUE"),
        *("-addext", "keyUsage=critical,keyCertSign", "-keyout", str(authority_key), "-out", str(authority)),
    )
    _openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=documents"),
        *("-keyout", str(key), "-out", str(request)),
    )
    extensions = folder / "tls.ext"
    extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", str(authority_key), "-CAcreateserial"),
        *("-days", str(days), "-extfile", str(extensions), "-out", str(certificate)),
    )
    return Certificates(authority, certificate, key)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
