"""What is on disk: files and folders that appear whole, hashes, locks, and the cache."""
