"""One way to write: files and folders that appear whole, hashes, and the per-user cache."""
