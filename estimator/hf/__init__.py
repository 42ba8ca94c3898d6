"""Hugging Face ``config.json`` files read into architectures, family by family."""
