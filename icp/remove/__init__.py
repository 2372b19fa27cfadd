"""`icp remove`: documents leave a finished run, and never come back."""

from icp.remove.removal import remove_documents, show_removal
from icp.remove.told import Asked, Removal
from icp.remove.wanted import Wanted, read_wanted

__all__ = ["Asked", "Removal", "Wanted", "read_wanted", "remove_documents", "show_removal"]
