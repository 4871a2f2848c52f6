"""What is asked: words read, languages told, pictures fetched, all of it embedded."""
