"""CodeTalker."""
