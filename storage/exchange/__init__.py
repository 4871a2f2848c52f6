"""Embeddings and what is known of their pictures, out of the library and into it, as files that
other programs read and write: Parquet, clip-retrieval folders, npy."""
