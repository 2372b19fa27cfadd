"""From a finished graph to shards as a Spark job: ``spark-submit jobs/pack.py -c CONFIG``.

It takes the options of ``icp pack``; the master and all else of Spark are ``spark-submit``'s own options.
"""

import sys

from icp.cli import main

if __name__ == "__main__":
    main(["pack", "--engine", "spark", *sys.argv[1:]], prog_name="pack.py")
