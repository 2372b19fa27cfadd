"""How a parallel run of the suite deals tests out (pytest-xdist): file by file, those of one cluster together."""

from xdist.scheduler import LoadScopeScheduling

ONE_CLUSTER = ("tests/jobs/test_spark.py", "tests/jobs/test_shipping.py")
"""Files whose tests share a Spark cluster, which is started once in a process."""


class ByFile(LoadScopeScheduling):
    """Tests of a file go to one process, so that its fixtures are made once; files start in the order collected."""

    def __init__(self, config, log=None):
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return ONE_CLUSTER[0] if file in ONE_CLUSTER else file
