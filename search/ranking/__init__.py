"""Which pictures answer, in which order, and how relevant they are."""
