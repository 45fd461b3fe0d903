"""Object tracks of a video, and the vote of the dual path's masks that chooses among them."""
