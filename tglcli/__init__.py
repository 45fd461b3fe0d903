"""The command line: parse, build a config, execute a stage, print a summary."""
