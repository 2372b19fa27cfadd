"""Addresses: which are of this machine, and that none carries credentials."""

import re

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)")


def is_url(address: str) -> bool:
    """Whether an address is no path of this machine."""
    return "://" in address and not address.startswith("file://")


def refuse_credentials(address: str) -> None:
    """Raise ValueError, without the address, if it carries a user and a secret.

    ``s3://key:secret@bucket`` is what is meant, with slashes in the secret too; a port is no secret.
    """
    found = _ADDRESS.match(address)
    _, colon, rest = (found.group(1) if found else "").partition(":")
    if "@" in rest or (colon and "@" in address and not rest.isdecimal()):
        raise ValueError(
            "holds credentials, which would be written into the run; take them out of the address and set them in the "
            "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), and change them if others saw them"
        )
