"""Running a stage: settings, digests, the workspace, the pool and execute()."""
