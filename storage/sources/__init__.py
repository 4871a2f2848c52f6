"""Where the bytes of a picture lie: on the disk, at a URL, in a tar or a Parquet file."""
