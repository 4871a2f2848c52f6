"""Batch jobs: scan → read and decode → embed → commit. Imports encoders, imaging and storage."""
