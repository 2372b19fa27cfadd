"""From documents to graph as a Spark job: ``spark-submit jobs/build_graph.py -c CONFIG``.

It takes the options of ``icp build-graph``; the master and all else of Spark are ``spark-submit``'s own options.
"""

import sys

from icp.cli import main

if __name__ == "__main__":
    main(["build-graph", "--engine", "spark", *sys.argv[1:]], prog_name="build_graph.py")
