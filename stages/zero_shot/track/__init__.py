"""track: every object that candidates name, through its whole video, as an index of tracks."""
