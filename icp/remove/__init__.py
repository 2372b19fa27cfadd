"""`icp remove`: documents leave a finished run, and never come back."""

from icp.remove.lists import Wanted, read_wanted
from icp.remove.removal import remove_documents, show_removal
from icp.remove.told import Asked, Removal

__all__ = ["Asked", "Removal", "Wanted", "read_wanted", "remove_documents", "show_removal"]
