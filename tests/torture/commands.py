"""Commands in forked processes, which have imported all that a command needs and do its parts themselves."""

import os
import signal
import sys
import traceback

SECONDS_A_COMMAND = 600


def prepare():
    """Import, in the process that forks, what commands need; kernels are loaded by each child."""
    import icp.cli
    import icp.cli.making
    import icp.cli.session
    import icp.inspect
    import icp.warm
    from icp.engine.executor import SerialExecutor
    from icp.pipeline import load_step
    from icp.run.names import STEPS

    class Alone(SerialExecutor):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    icp.cli.session._executor = lambda _options: Alone()
    icp.warm.fill_kernel_cache = lambda: None
    for name in STEPS:
        load_step(name)


def start(arguments, said, *, before=None, after=None):
    """Fork a process that does a command and writes what it says to a file; its number.

    `before` and `after` are called in it.
    """
    child = os.fork()
    if not child:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        os._exit(_do(arguments, before, after))
    return child


def _do(arguments, before, after):
    import icp.cli

    signal.alarm(SECONDS_A_COMMAND)
    try:
        if before:
            before()
        code = icp.cli.main(arguments, standalone_mode=False) or 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - it is told
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if after:
            after()
    return code
