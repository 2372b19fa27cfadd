"""The exceptions `icp` raises on purpose, each with the exit code of the command it ends.

IcpError
├── ConfigError       2  usage, configuration, a run folder made with another configuration
├── InputError        3  the user's files: missing, unreadable, not what was said
├── ArtifactError     3  a run's own files: missing, damaged, of another size or hash
├── PartsFailedError  4  some parts failed; the same command goes on from there
├── BrokenPromise     5  `icp verify` found files that are readable but wrong
└── Interrupted     130  SIGINT or SIGTERM; the same command goes on from there
"""


class IcpError(Exception):
    """Anything a user can cause or must be told; the message says what, where and what to do."""

    exit_code = 1


class ConfigError(IcpError):
    """Usage, configuration, or a run folder made with another configuration."""

    exit_code = 2


class InputError(IcpError):
    """The user's input is missing, unreadable, or not what the configuration says."""

    exit_code = 3


class ArtifactError(IcpError):
    """A file of the run is missing, damaged, or of another size or hash than its manifest says."""

    exit_code = 3


class PartsFailedError(IcpError):
    """Some parts of a step failed; what is done is kept."""

    exit_code = 4


class BrokenPromise(IcpError):  # noqa: N818 - it is what it says
    """`icp verify` found a broken promise."""

    exit_code = 5


class Interrupted(IcpError):  # noqa: N818 - not an error
    """The run was asked to stop; what is done is kept."""

    exit_code = 130
