"""`tgl export-masks`: masks in the formats of labelling tools and trainers."""
