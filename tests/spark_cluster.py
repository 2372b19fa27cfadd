"""A standalone Spark cluster on this machine, from the classes in the pip package; ended by process id."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

STARTS_WITHIN = 90.0
HOST = "127.0.0.1"


def free_port():
    with socket.socket() as server:
        server.bind((HOST, 0))
        return server.getsockname()[1]


@contextmanager
def running_cluster(folder: Path, n_workers=2, cores=2, environment=None):
    """Yield the URL of a master with workers that have registered."""
    url = f"spark://{HOST}:{free_port()}"
    web = free_port()
    processes = []
    try:
        processes.append(
            _daemon(
                folder,
                "master",
                "master.Master",
                ["--port", url.rpartition(":")[2], "--webui-port", str(web)],
                environment,
            )
        )
        _wait(lambda: _listens(int(url.rpartition(":")[2])), folder, processes)
        for number in range(n_workers):
            options = ["--cores", str(cores), "--memory", "2g", "--webui-port", "0"]
            options += ["--work-dir", str(folder / f"work-{number}"), url]
            processes.append(_daemon(folder, f"worker-{number}", "worker.Worker", options, environment))
        logs = [folder / f"worker-{number}.log" for number in range(n_workers)]
        _wait(lambda: all("Successfully registered" in log.read_text() for log in logs), folder, processes)
        yield url
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _daemon(folder, name, kind, options, environment):
    import pyspark

    home = Path(pyspark.__file__).parent
    # ended with this process, even when that is killed
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    command = [*tied, str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", "--host", HOST, *options]
    settings = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": HOST,
        "SPARK_DAEMON_MEMORY": "300m",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        # a terminated worker must not leave its executors behind
        "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        **(environment or {}),
    }
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(command, env=settings, stdout=log, stderr=log, cwd=folder)


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def _wait(ready, folder, processes):
    deadline = time.monotonic() + STARTS_WITHIN
    while not ready():
        dead = [process for process in processes if process.poll() is not None]
        if dead or time.monotonic() > deadline:
            logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
            raise RuntimeError(f"the cluster does not start: {logs}")
        time.sleep(0.1)


if __name__ == "__main__":
    with running_cluster(Path(sys.argv[1])) as address:
        print(address, flush=True)  # noqa: T201
        sys.stdin.read()
