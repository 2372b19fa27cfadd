from document_rows import step

__all__ = ["step"]
