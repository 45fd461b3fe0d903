"""What runs a stage: settings, digests, the workspace, the pool and execute()."""
