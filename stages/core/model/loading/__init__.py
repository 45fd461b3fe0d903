"""Model files: by hub id or folder, through transformers or by our own strict loader."""
