"""tgl segment: a video and sentences in, masks, a table and an overlay out."""
