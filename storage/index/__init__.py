"""Embeddings and what searches them: shards, the FAISS index, snapshots of both."""
