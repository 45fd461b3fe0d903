"""submit: writing the zip that a benchmark's server takes."""
