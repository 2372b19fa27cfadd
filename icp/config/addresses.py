"""Addresses: which are of this machine, and that none carries credentials."""

import os
import re

_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")
_SECRET = re.compile(
    r"(?i)([?&;#](?:[a-z0-9_.%-]*(?:token|secret|password|passwd|passphrase|signature|credential|authorization"
    r"|(?:api|access|private|shared)(?:[_-]|%2d|%5f)?key(?:id)?)|sig|sas|auth|bearer|jwt|pwd|pass|session(?:_?id)?)(?:__)?=)"
    r"[^&;#\s'\"]+"
)
_USER = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/@:'\"]*:[^\s'\"]*|(?<=http://)[^\s/'\"]+|(?<=https://)[^\s/'\"]+)@"
)
_WEB_USER = re.compile(r"(?i)https?://[^/?#]*@")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)")


def is_url(address: str) -> bool:
    """Whether an address is no path of this machine."""
    return "://" in address and not address.startswith("file://")


def expanded(address: str) -> str:
    """A path with ``~`` and environment variables (``$NAME``, ``${NAME}``) filled in; a URL as it is.

    Raises: ValueError for a variable that is not set, and for a ``~name`` that is no user.
    """
    if "://" in address:
        return address
    path = os.path.expandvars(address)
    missing = _VARIABLE.search(path)
    if missing and missing.group(0) in address:
        raise ValueError(f"names the variable {missing.group(0)}, which is not set; set it, or write the path out")
    home = os.path.expanduser(path)  # noqa: PTH111 - a pattern, not a path
    if home.startswith("~"):
        raise ValueError(f"begins with {path.partition('/')[0]}, which is no home folder; write ./{path} for a file")
    return home


def refuse_credentials(address: str) -> None:
    """Raise ValueError, without the address, if it carries a user and a secret, or a token or signature.

    ``s3://key:secret@bucket`` is what is meant, with slashes in the secret too, and ``https://token@host``; a port is
    no secret.
    """
    found = _ADDRESS.match(address)
    _, colon, rest = (found.group(1) if found else "").partition(":")
    if "@" in rest or _WEB_USER.match(address) or (colon and "@" in address and not rest.isdecimal()):
        raise ValueError(
            "holds credentials, which would be written into the run; take them out of the address and set them in the "
            "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), and change them if others saw them"
        )
    if "://" in address and _SECRET.search(address):
        raise ValueError(
            "is a signed or secret link, which would be written into the run; fetch the file first, or give its plain "
            "address and set credentials in the environment"
        )


def without_secrets(text: str) -> str:
    """A text in which users and passwords, tokens and signatures of URLs are three stars."""
    if "://" not in text and "=" not in text:
        return text
    return _USER.sub(r"\1***@", _SECRET.sub(r"\1***", text))
