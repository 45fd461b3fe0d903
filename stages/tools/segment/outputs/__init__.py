"""Results of tgl segment as tables and lines."""
