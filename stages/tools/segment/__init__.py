"""tgl segment: from a video and sentences to masks, a table and an overlay."""
