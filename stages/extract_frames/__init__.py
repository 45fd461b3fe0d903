"""extract-frames: videos become folders of pictures and a table of exact time stamps."""
