"""The ``ssh`` that Git uses: one server, one key, one list of known hosts."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from sdg_operator.taxonomy.address import AddressGuard
from sdg_operator.taxonomy.errors import CheckError
from sdg_operator.taxonomy.giturl import GitUrl, credential_for
from sdg_operator.taxonomy.request import GitCredential


def ssh_command(url: GitUrl, credentials: Iterable[GitCredential], guard: AddressGuard, home: Path) -> str:
    """Connect to a checked address, with the one key that is meant for this URL, to a server that is known.

    Raises `CheckError` with reason CloneFailed or SecretIncomplete.
    """
    credential = credential_for(url, credentials)
    if credential is None:
        raise CheckError(
            "CloneFailed", f"{url} needs a key, and none is given for it; name a Secret in spec.credentials"
        )
    address = guard.admit(url)[0]
    secret = Path(credential.folder)
    missing = [name for name in ("ssh-privatekey", "known_hosts") if not (secret / name).is_file()]
    if missing:
        message = f"the credentials for {credential.url_prefix} have no key {' and no key '.join(missing)}"
        raise CheckError("SecretIncomplete", message)
    key = home / "ssh-privatekey"
    key.parent.mkdir(parents=True, exist_ok=True)
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)  # ssh refuses a key that others could read, as a mounted Secret's may be
    key.write_bytes((secret / "ssh-privatekey").read_bytes().rstrip(b"\n") + b"\n")
    alias = url.host if url.port == 22 else f"[{url.host}]:{url.port}"
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "30",
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": alias,
        "HostName": address,
        "IdentitiesOnly": "yes",
        "IdentityFile": str(key),
        "PasswordAuthentication": "no",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(secret / "known_hosts"),
    }
    return shlex.join(["ssh", "-F", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())])
