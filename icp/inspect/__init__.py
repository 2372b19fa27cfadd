"""`icp inspect` and `icp status`: what a run holds and how far it is, as lines for a terminal."""

from icp.inspect.documents import show_document
from icp.inspect.duplicates import show_duplicate
from icp.inspect.status import show_status
from icp.inspect.windows import show_window

__all__ = ["show_document", "show_duplicate", "show_status", "show_window"]
