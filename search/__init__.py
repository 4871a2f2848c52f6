"""Query → hits: the engine, and the JSON API blueprint. Imports encoders, imaging and storage."""
