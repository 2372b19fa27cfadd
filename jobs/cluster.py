"""What must be true before Spark is started, each told in one line: Java, and a master that is there."""

import os
import re
import socket
import tempfile
from typing import Any
from urllib.parse import urlsplit

from icp.doctor import java_problem
from icp.errors import ConfigError

ANSWER_SECONDS = 10.0
RETRIES = 4


def check_master(master: str | None) -> None:
    """Refuse what cannot work: no Java, a master that is not there (one of Spark's own is asked for `ANSWER_SECONDS`).

    Raises: ConfigError.
    """
    problem = java_problem() if "PYSPARK_GATEWAY_PORT" not in os.environ else None
    if problem:
        raise ConfigError(f"--engine spark: {problem}")
    if master is None:
        return
    if master.startswith("sc://"):
        raise ConfigError(
            f"--master {master}: Spark Connect has no tasks of our own; give the URL of the cluster itself"
        )
    if not re.match(r"(local(-cluster)?(\[.*\])?|spark://.+|yarn|k8s://.+)$", master):
        raise ConfigError(
            f"--master {master}: not a master; e.g. spark://HOST:7077, yarn, k8s://https://HOST, local[4]"
        )
    if master == "yarn" and not {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & set(os.environ):
        raise ConfigError(  # Spark itself would look for one on this machine, for as long as it is let
            "--master yarn: neither HADOOP_CONF_DIR nor YARN_CONF_DIR says where its manager is; set one to the folder "
            "of the cluster's configuration"
        )
    if master.startswith("spark://"):
        _check_standalone(master)


def _check_standalone(master: str) -> None:
    """One of the masters must take a connection; Spark itself would ask for a minute and then print pages."""
    why = ""
    for place in master.removeprefix("spark://").split(","):
        try:
            url = urlsplit(f"//{place}")
            host, port = url.hostname, url.port
        except ValueError:
            host = port = None
        if not host or not port:
            raise ConfigError(f"--master {master}: expected spark://HOST:PORT")
        try:
            socket.create_connection((host, port), ANSWER_SECONDS).close()
        except OSError as error:
            why = error.strerror or str(error)
            continue
        return
    raise ConfigError(f"--master {master}: no master answers there ({why}); start it, or correct the URL")


def needs_loopback(master: str | None) -> bool:
    """Whether all of the cluster is this machine, so that its name must not be looked up."""
    return bool(re.match(r"local|spark://(127\.0\.0\.1|localhost|\[::1\])(:|$)", master or ""))


def local_with_retries(master: str) -> str:
    """``local[N]`` as Spark must be told so that it tries a failed task again, as a cluster does."""
    found = re.fullmatch(r"local(?:\[([^,\]]+)\])?", master)
    return f"local[{found.group(1) or 1},{RETRIES}]" if found else master


def start_gateway(verbose: bool) -> Any:
    """Start Spark's driver process; what it writes is shown only if it is asked for or cannot start.

    Raises: ConfigError.
    """
    from pyspark.java_gateway import launch_gateway

    if verbose:
        return launch_gateway()
    with tempfile.TemporaryFile() as noise:
        try:
            return launch_gateway(popen_kwargs={"stderr": noise})
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver process is not there
            noise.seek(0)
            lines = [line.strip() for line in noise.read().decode(errors="replace").splitlines() if line.strip()]
            why = next(
                (line for line in lines if "Error" in line or "Exception" in line), lines[-1] if lines else error
            )
            raise ConfigError(f"--engine spark: Spark's driver process does not start: {why}") from None
