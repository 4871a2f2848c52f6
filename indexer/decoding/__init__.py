"""Decoding in processes of their own: what a broken file does to a decoder stays there.

`pool` is the job's side, `worker` what `imaging.workers`' processes do for it, `messages` what goes
between them, `picture` the work itself. A worker imports neither torch nor SQLAlchemy nor FAISS.
"""
