"""The certificate authorities that Git servers are checked against: the system's, and those of the administrator."""

import ssl
from pathlib import Path

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def write_bundle(target: Path, extra: Path | None) -> Path:
    """Write one PEM file with all of them. Raises `OSError` when `extra` cannot be read."""
    # Not `cafile`, which SSL_CERT_FILE overrides: the administrator's bundle is added, it takes nothing away.
    candidates = [Path(name) for name in (ssl.get_default_verify_paths().openssl_cafile, *_BUNDLES)]
    system = next((path.read_text() for path in candidates if path.is_file()), "")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{system}\n{extra.read_text() if extra else ''}\n")
    return target
