"""Live: frames leave for games, avatars and programs at their moment, over protocols they speak."""
