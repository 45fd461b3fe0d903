"""tgl segment --online: a stream, segmented while its frames come."""
