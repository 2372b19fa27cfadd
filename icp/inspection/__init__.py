"""`icp inspect` and `icp status`: what a run holds and how far it is, as lines for a terminal."""

from icp.inspection.documents import show_document
from icp.inspection.duplicates import show_duplicate
from icp.inspection.status import show_status
from icp.inspection.windows import show_window

__all__ = ["show_document", "show_duplicate", "show_status", "show_window"]
