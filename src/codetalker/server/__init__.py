"""Server: files and live streams over HTTP and WebSockets, for many at once."""
