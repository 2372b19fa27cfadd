"""`icp inspect` and `icp status`: what a run holds and how far it is, as lines for a terminal."""

from icp.inspect.documents import show_document
from icp.inspect.duplicates import show_duplicate
from icp.inspect.listings import show_alone, show_groups, show_hubs
from icp.inspect.samples import write_sample
from icp.inspect.status import show_status
from icp.inspect.windows import show_rows, show_text, show_window

__all__ = [
    "show_alone",
    "show_document",
    "show_duplicate",
    "show_groups",
    "show_hubs",
    "show_rows",
    "show_status",
    "show_text",
    "show_window",
    "write_sample",
]
