"""What the Hugging Face Hub, or another host, says about files: size, hash, commit. Never their bytes."""
