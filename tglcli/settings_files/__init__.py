"""Settings of a command in a file: `--config` reads them, `--print-config` writes them."""
