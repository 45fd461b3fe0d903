"""HTML pages that are one file: text made safe, style, plots, tables that sort and filter."""
