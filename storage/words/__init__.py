"""Words that come with pictures, and the full-text index over them."""
