"""Taking in embeddings that were made elsewhere with the same checkpoint."""
