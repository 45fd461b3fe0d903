"""SAM 2 and EdgeTAM, driven module by module: features, memory, presets, prompts."""
