"""extract-frames: videos to folders of frames and a table of exact time stamps."""
