"""How well a library's own pictures are found by captions that somebody wrote for them."""
