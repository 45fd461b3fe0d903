"""Options of a dry run, and the tables that it prints."""
