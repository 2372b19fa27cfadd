"""Run a step: phase by phase, part by part, each part once, and fold the records into its manifest.

A part with a record is not done again. A step whose manifest or records carry another basis (configuration, inputs,
format) than is asked for is refused, with the differences named.
"""

from icp.engine.basis import basis_of, differences
from icp.engine.run_step import run_slice, run_step
from icp.engine.task import Task, do_task

__all__ = ["Task", "basis_of", "differences", "do_task", "run_slice", "run_step"]
