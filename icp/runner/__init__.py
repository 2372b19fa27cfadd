"""Run a step: phase by phase, part by part, each part once, and fold the records into its manifest.

A part with a record is not done again. A step whose manifest or records carry another basis (configuration, inputs,
format) than is asked for is refused, with the differences named.
"""

from icp.runner.basis import basis_of, differences
from icp.runner.step import run_slice, run_step
from icp.runner.task import Task, do_task

__all__ = ["Task", "basis_of", "differences", "do_task", "run_slice", "run_step"]
