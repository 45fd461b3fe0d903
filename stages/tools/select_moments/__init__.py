"""select-moments: an image-text model scores frames against sentences and picks the moments."""
