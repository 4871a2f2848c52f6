"""What can be indexed: folders, files, lists of files, and the containers among them."""
